"""Our own server under the name `tensorflow_model_server`, for tests of what starts that one.

It takes the flags of TensorFlow Serving and no others, and refuses them in the way of the real one: with a
list of those that there are, and exit code 255.
"""

import stat
import sys

# Those that `skinzoo serve` has, and what the real server does that ours does anyway or has no use for.
FLAGS = {
    "port", "rest_api_port", "rest_api_timeout_in_ms", "grpc_socket_path", "model_config_file",
    "model_config_file_poll_wait_seconds", "file_system_poll_wait_seconds", "enable_batching",
    "batching_parameters_file", "ssl_config_file", "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism", "grpc_channel_arguments", "grpc_max_threads", "enable_model_warmup",
    "rest_api_num_threads", "rest_api_enable_cors_support", "max_num_load_retries",
    "load_retry_interval_micros", "enable_per_model_batching_parameters", "num_request_iterations_for_warmup",
    "saved_model_tags", "enable_serialization_as_tensor_content", "monitoring_config_file",
}  # fmt: skip
UNUSED = {
    "enable_grpc_healthcheck_service", "per_process_gpu_memory_fraction",
    "allow_version_labels_for_unavailable_models",
}  # fmt: skip


def install(folder, before=""):
    """Write the executable into a folder for PATH.

    Args:
        folder: The folder.
        before: Python that runs first, with `arguments` at hand.
    """
    path = folder / "tensorflow_model_server"
    path.write_text(
        f"""#!{sys.executable}
import os, sys
arguments = sys.argv[1:]
{before}
given = [one.removeprefix("--").partition("=")[0] for one in arguments]
unknown = set(given) - {FLAGS | UNUSED!r}
if unknown:
    print("unknown argument:", *sorted(unknown), file=sys.stderr)
    sys.exit(255)
kept = [one for one, name in zip(arguments, given) if name not in {UNUSED!r}]
os.execv(sys.executable, [sys.executable, "-m", "skinzoo", "serve", *kept])
"""
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
