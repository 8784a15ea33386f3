"""TensorFlow Serving itself: started with files of ours, watched, and stopped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from skinzoo.addresses import is_loopback
from skinzoo.errors import ServingError, UsageError
from skinzoo.serving.serve import ServeRequest
from skinzoo.serving.tensorflow_files import MODELS, batching_for, write_files
from skinzoo.serving.tensorflow_ready import Asked, Pair, wait_until_ready

BINARY = "tensorflow_model_server"
LAST_LINES = 20
"""Lines of its log that are shown when it dies."""
_CONFIG = PurePosixPath("/config")
_GRPC, _REST = 8500, 8501


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """How TensorFlow Serving is started.

    Args:
        binary: The executable, a path or a name on PATH; unused with an image.
        image: A container image, such as `tensorflow/serving:2.19.1-gpu`; None for the executable.
        gpus: GPUs for the container as `docker run --gpus` takes them, such as `all`; for the executable,
            anything switches the batches of a GPU on.
        memory_fraction: Part of a GPU's memory that it takes; 0 for what it needs, up to all.
        flags: Further flags of its own, name to value.
        client: Who asks whether it is ready, where clients need a certificate; the server itself for None.
        ready_seconds: How long it may take until it is ready.
    """

    binary: str = BINARY
    image: str | None = None
    gpus: str | None = None
    memory_fraction: float = 0.0
    flags: Mapping[str, str] = field(default_factory=dict)
    client: Pair | None = None
    ready_seconds: float = 600.0


class TensorFlowServer:
    """A running TensorFlow Serving.

    Args:
        process: Its process.
        address: `HOST:PORT` of its gRPC.
        rest: `HOST:PORT` of its REST; None for none.
        show: Called with each line of its log.
    """

    def __init__(
        self, process: subprocess.Popen[str], address: str, rest: str | None, show: Callable[[str], None]
    ) -> None:
        self._process = process
        self.address = address
        self.rest = rest
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._asked_to_stop = False
        self._reader = threading.Thread(target=self._read, args=(show,), name="tensorflow-log", daemon=True)
        self._reader.start()

    def check(self) -> None:
        """Check that it runs.

        Raises:
            ServingError: It has ended without being asked to.
        """
        code = self._process.poll()
        if code is None or self._asked_to_stop:
            return
        self._reader.join(timeout=5)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = "".join(f"\n  {line}" for line in self._last)
        raise ServingError(
            f"TensorFlow Serving must keep running. Received: {how}, after these lines:{said or ' none'}"
        )

    def alive(self) -> None:
        """Check that it runs and is to run on.

        Raises:
            ServingError: It has ended without being asked to.
            KeyboardInterrupt: It was asked to stop.
        """
        if self._asked_to_stop:
            raise KeyboardInterrupt
        self.check()

    def forward(self, number: int) -> None:
        """Send it a signal that this process was sent."""
        self._asked_to_stop = True
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self) -> None:
        """Return when it has ended.

        Raises:
            ServingError: Nobody asked it to.
        """
        # In short steps, so that signals are answered meanwhile.
        while self._process.poll() is None:
            try:
                self._process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
        self.check()

    def stop(self, grace: float) -> None:
        """Ask it to end, and end it if it has not after `grace` seconds."""
        self._asked_to_stop = True
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)

    def _read(self, show: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._last.append(line.rstrip())
                show(line.rstrip())


@contextmanager
def launched(
    request: ServeRequest,
    options: LaunchOptions,
    *,
    started: Callable[[TensorFlowServer], None] = lambda _: None,
    show: Callable[[str], None] = lambda _: None,
) -> Iterator[TensorFlowServer]:
    """Run TensorFlow Serving while the body of the `with` runs, which begins when it is ready.

    It is ready when every model is available and, where it is an export, has answered a golden case.

    Args:
        request: What to serve, and how.
        options: How it is started.
        started: Called once it runs, long before it is ready.
        show: Called with each line of its log.

    Yields:
        The server.

    Raises:
        UsageError: It cannot be started so.
        ServingError: It does not start, does not become ready, or gives other answers than an export's run.
    """
    with tempfile.TemporaryDirectory(prefix="skinzoo-serving-") as folder:
        host, port, rest = _ports(request)
        words = command(request, options, Path(folder), port=port, rest_port=rest)
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # Ctrl-C reaches this process alone, which passes it on.
                start_new_session=True,
            )
        except OSError as error:
            raise ServingError(f"'{words[0]}' must be executable. Received: {error.strerror}.") from error
        server = TensorFlowServer(
            process, _authority(host, port), _authority(host, rest) if rest else None, show
        )
        try:
            started(server)
            asked = Asked(
                address=server.address,
                sources=request.sources,
                tls=request.server.protection.tls,
                client=options.client,
                alive=server.alive,
            )
            wait_until_ready(asked, seconds=options.ready_seconds)
            yield server
        finally:
            server.stop(request.grace)


def command(
    request: ServeRequest, options: LaunchOptions, folder: Path, *, port: int, rest_port: int
) -> list[str]:
    """Return the command line that starts it, whose files are written.

    Args:
        request: What to serve, and how.
        options: How it is started.
        folder: Where its configuration files go.
        port: Port of gRPC.
        rest_port: Port of REST; 0 for none.

    Raises:
        UsageError: There is no such executable or container runtime, or it cannot listen there.
    """
    in_container = options.image is not None
    tls = request.server.protection.tls
    batching = request.load.batching_of(is_export=True)
    if batching is not None and request.load.batching is None:
        batching = batching_for(gpu=options.gpus is not None)
    files = write_files(
        folder,
        request.sources,
        batching=batching,
        monitoring=rest_port > 0,
        tls=tls,
        in_container=in_container,
    )
    config_file = request.watching.config_file
    if config_file is not None and not in_container:
        # As it stands, so that it can be changed while the server runs.
        files["model_config_file"] = config_file.absolute()
    inside = {name: _CONFIG / path.name if in_container else path for name, path in files.items()}
    flags: dict[str, object] = {
        "port": _GRPC if in_container else port,
        "rest_api_port": _REST if in_container and rest_port else rest_port,
        **inside,
        "enable_batching": batching is not None,
        "enable_grpc_healthcheck_service": True,
        "enable_per_model_batching_parameters": request.load.per_model_batching,
        "enable_model_warmup": request.load.warmup,
        "num_request_iterations_for_warmup": request.load.warmup_times,
        "saved_model_tags": ",".join(request.load.tags),
        "model_config_file_poll_wait_seconds": 0 if in_container else round(request.watching.config),
        "file_system_poll_wait_seconds": round(request.watching.folders),
        "max_num_load_retries": request.watching.retries.most,
        "load_retry_interval_micros": round(request.watching.retries.pause * 1e6),
        "grpc_max_threads": request.server.threads,
        "tensorflow_intra_op_parallelism": request.intra_op_threads,
        "tensorflow_inter_op_parallelism": request.inter_op_threads,
        "per_process_gpu_memory_fraction": options.memory_fraction,
    }
    if any(source.labels for source in request.sources):
        # Otherwise it refuses to start with labels, since nothing is loaded yet.
        flags["allow_version_labels_for_unavailable_models"] = True
    if request.server.rest is not None and rest_port:
        flags["rest_api_timeout_in_ms"] = round(request.server.rest.timeout * 1000)
        flags["rest_api_num_threads"] = request.server.rest.threads
        flags["rest_api_enable_cors_support"] = request.server.rest.cors
    if request.server.as_content:
        flags["enable_serialization_as_tensor_content"] = True
    if request.server.channel_arguments:
        flags["grpc_channel_arguments"] = ",".join(f"{k}={v}" for k, v in request.server.channel_arguments)
    if request.server.socket_path is not None and not in_container:
        flags["grpc_socket_path"] = request.server.socket_path
    flags |= options.flags
    if in_container:
        start = _container(request, options, folder, port=port, rest_port=rest_port)
    else:
        start = [_executable(request, options.binary)]
    return [*start, *(f"--{name}={_spelt(value)}" for name, value in flags.items())]


def _executable(request: ServeRequest, binary: str) -> str:
    found = shutil.which(binary)
    if found is None:
        raise UsageError(
            f"TensorFlow Serving's executable must be on PATH. Received: no '{binary}'.",
            hint="Install tensorflow-model-server, name it with --binary, or name an image with --image.",
        )
    if is_loopback(request.server.host):
        raise UsageError(
            f"TensorFlow Serving's executable listens on every address of this machine. Received: --host "
            f"{request.server.host}.",
            hint="Say so with --host 0.0.0.0, or run it in a container with --image, where --host holds.",
        )
    return found


def _container(
    request: ServeRequest, options: LaunchOptions, folder: Path, *, port: int, rest_port: int
) -> list[str]:
    runtime = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    if runtime is None:
        raise UsageError(
            "A container image must have docker or podman on PATH to run it. Received: neither.",
            hint="Install one, or leave --image out to run the executable.",
        )
    assert options.image is not None
    host = request.server.host
    # An init process, since signals do not end a first process that handles none.
    words = [runtime, "run", "--rm", "--init", "--publish", f"{_authority(host, port)}:{_GRPC}"]
    if rest_port:
        words += ["--publish", f"{_authority(host, rest_port)}:{_REST}"]
    if options.gpus is not None:
        words += ["--gpus", options.gpus]
    mounts = {folder: _CONFIG} | {source.base_path: MODELS / source.name for source in request.sources}
    for outside, inside in mounts.items():
        words += ["--mount", f"type=bind,source={outside},target={inside},readonly"]
    return [*words, "--entrypoint", BINARY, options.image]


def _ports(request: ServeRequest) -> tuple[str, int, int]:
    host = request.server.host
    rest = request.server.rest
    # Its own 0 means no gRPC, so a free port is chosen here.
    port = request.server.port or _free_port()
    rest_port = (rest.port or _free_port()) if rest is not None else 0
    return "127.0.0.1" if host in ("0.0.0.0", "::", "[::]") else host, port, rest_port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
