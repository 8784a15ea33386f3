"""Options of TensorFlow Serving that our server has no use for.

Command lines written for `tensorflow_model_server` are to work as they stand: what changes no answer
is taken and does nothing, what would have to be honoured and is not is refused. TensorFlow Serving itself,
started with `--server tensorflow`, is given all of them.
"""

from __future__ import annotations

from skinzoo.errors import UsageError

_NO = ("false", "0", "no")

WITHOUT_EFFECT = {
    "allow_version_labels_for_unavailable_models": "labels are set once their versions are loaded",
    "enable_grpc_healthcheck_service": "health is always answered",
    "enable_profiler": "there is no profiler",
    "flush_filesystem_caches": "files are read once",
    "num_load_threads": "requests are answered while versions are loaded",
    "num_unload_threads": "requests are answered while versions are unloaded",
    "num_tflite_interpreters_per_pool": "there is no TensorFlow Lite",
    "num_tflite_pools": "there is no TensorFlow Lite",
    "prefer_tflite_model": "the TensorFlow model answers",
    "remove_unused_fields_from_bundle_metagraph": "the graph is not kept",
    "skip_initialize_tpu": "there is no TPU",
}
"""Name to why it does nothing."""
REFUSED = {
    "enable_signature_method_name_check": "Leave it out: Classify and Regress go by the names of outputs.",
    "platform_config_file": "Say the same with --batching-parameters-file and its like.",
    "tensorflow_session_config_file": "Say the same with --tensorflow-intra-op-parallelism and its like.",
    "thread_pool_factory_config_file": "Say the same with --tensorflow-intra-op-parallelism and its like.",
    "total_model_memory_limit_bytes": "Bound the memory of the whole process from outside.",
    "use_alts_credentials": "Use --ssl-config-file.",
    "xla_cpu_compilation_enabled": "Use --engine openvino for more speed.",
}
"""Name to what to do instead."""


def take_out(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Part a command line.

    Args:
        arguments: The arguments, names of options spelt with dashes.

    Returns:
        The other arguments, and these options as TensorFlow Serving spells them with their values.
    """
    kept: list[str] = []
    taken: dict[str, str] = {}
    for place, argument in enumerate(arguments):
        if argument == "--":
            return kept + arguments[place:], taken
        name, equals, value = argument.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if argument.startswith("--") and name in WITHOUT_EFFECT.keys() | REFUSED:
            # That server takes no value but after an equals sign.
            taken[name] = value if equals else "true"
        else:
            kept.append(argument)
    return kept, taken


def check(given: dict[str, str]) -> list[str]:
    """Return what to say of such options where our own server gets them.

    Raises:
        UsageError: One of them must not be left out of account.
    """
    for name, hint in REFUSED.items():
        if given.get(name, "false").lower() not in _NO:
            raise UsageError(
                f"`--{name.replace('_', '-')}` must come with --server tensorflow. "
                "Received: --server skinzoo, which does not have it.",
                hint=hint,
            )
    return [
        f"--{name.replace('_', '-')} does nothing: {why}."
        for name, why in WITHOUT_EFFECT.items()
        if name in given
    ]
