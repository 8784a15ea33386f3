"""`skinzoo serve`: the server in the box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from skinzoo.cli import lifecycle, monitoring, render, tensorflow_flags
from skinzoo.cli import protection as options_of
from skinzoo.cli import tensorflow_server as launcher
from skinzoo.cli.quiet import import_keras
from skinzoo.errors import UsageError

if TYPE_CHECKING:
    from skinzoo.serving.folders import ModelSource
    from skinzoo.serving.servable import Servable

_FOREIGN = "skinzoo.tensorflow_flags"
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


class ServeCommand(TyperCommand):
    """Takes options as TensorFlow Serving spells them too: `--enable_batching=true`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spell options with dashes, and yes-or-no values as flags, before they are parsed."""
        flags = {
            name: parameter.secondary_opts
            for parameter in self.params
            if getattr(parameter, "is_flag", False)
            for name in parameter.opts
        }
        kept, ctx.meta[_FOREIGN] = tensorflow_flags.take_out([_spelt(one, flags) for one in args])
        return super().parse_args(ctx, kept)


def _spelt(argument: str, flags: dict[str, list[str]]) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    name = name.replace("_", "-")
    if equals and name in flags and value.lower() in _TRUE:
        return name
    if equals and flags.get(name) and value.lower() in _FALSE:
        return flags[name][0]
    return name + equals + value


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", cls=ServeCommand)(serve)


def serve(
    context: typer.Context,
    bases: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="BASE...",
            help="Folder of models, of one model, or of one version; $SKINZOO_HOME/exports by default.",
        ),
    ] = None,
    model_config_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Models, as a text proto of ModelServerConfig.")
    ] = None,
    model_base_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The versions of one model, instead of BASE.")
    ] = None,
    model_name: Annotated[
        str, typer.Option(help="Name of the model of --model-base-path or --backend.")
    ] = "default",
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The typed service in front of the TensorFlow Serving there, for its --model-name.",
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Card of the --backend's export, or its folder.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of gRPC; 0 for any free one.")] = 8500,
    grpc_socket_path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Listen on a Unix socket too.")
    ] = None,
    rest_api_port: monitoring.RestApiPort = 0,
    rest_api_timeout_in_ms: monitoring.RestApiTimeout = 30000,
    rest_api_num_threads: monitoring.RestApiThreads = 128,
    rest_api_enable_cors_support: monitoring.RestApiCors = False,
    monitoring_config_file: monitoring.MonitoringConfigFile = None,
    log_format: monitoring.LogFormat = "text",
    enable_tracing: monitoring.EnableTracing = False,
    ssl_config_file: options_of.SslConfigFile = None,
    token_file: options_of.TokenFile = None,
    allow_insecure: options_of.AllowInsecure = False,
    max_message_mib: options_of.MaxMessageMib = options_of.LARGEST_MESSAGE_MIB,
    max_image_mib: options_of.MaxImageMib = 64.0,
    max_image_pixels: options_of.MaxImagePixels = 80_000_000,
    max_cases: options_of.MaxCases = 4096,
    max_waiting_calls: options_of.MaxWaitingCalls = None,
    max_calls_per_client: options_of.MaxCallsPerClient = 0,
    reload_base: options_of.ReloadBase = None,
    file_system_poll_wait_seconds: lifecycle.FolderPoll = 1.0,
    model_config_file_poll_wait_seconds: lifecycle.ConfigPoll = 0.0,
    max_num_load_retries: lifecycle.MaxRetries = 5,
    load_retry_interval_micros: lifecycle.RetryInterval = 60_000_000,
    drain_seconds: lifecycle.DrainSeconds = 10.0,
    lame_duck_seconds: lifecycle.LameDuckSeconds = 0.0,
    enable_batching: Annotated[
        bool | None,
        typer.Option(
            "--enable-batching/--no-enable-batching",
            help="Join concurrent requests to batches; for exports of skinzoo alone by default.",
        ),
    ] = None,
    batching_parameters_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text proto of BatchingParameters.")
    ] = None,
    enable_per_model_batching_parameters: Annotated[
        bool,
        typer.Option(
            "--enable-per-model-batching-parameters/--no-enable-per-model-batching-parameters",
            help="Parameters from batching_params.pbtxt in a version's folder, where there is one.",
            show_default=False,
        ),
    ] = False,
    enable_model_warmup: Annotated[
        bool,
        typer.Option(
            "--enable-model-warmup/--no-enable-model-warmup",
            help="Replay warm-up records before serving; on by default.",
            show_default=False,
        ),
    ] = True,
    num_request_iterations_for_warmup: Annotated[
        int, typer.Option(min=0, help="How often each warm-up record is replayed; 0 for once.")
    ] = 0,
    engine: Annotated[
        str,
        typer.Option(
            metavar="auto|tensorflow|openvino",
            help="What executes exports; auto: OpenVINO where its answers to the golden cases agree.",
        ),
    ] = "tensorflow",
    mixed_precision: Annotated[
        str | None,
        typer.Option(metavar="bfloat16", help="What OpenVINO calculates in; float32 unless given."),
    ] = None,
    saved_model_tags: Annotated[str, typer.Option(metavar="TAG,...", help="Tags of the graph.")] = "serve",
    enable_serialization_as_tensor_content: Annotated[
        bool,
        typer.Option(
            "--enable-serialization-as-tensor-content/--no-enable-serialization-as-tensor-content",
            help="Answer Predict with tensor_content instead of typed fields.",
            show_default=False,
        ),
    ] = False,
    server_kind: launcher.Server = launcher.SKINZOO,
    binary: launcher.Binary = None,
    image: launcher.Image = None,
    gpus: launcher.Gpus = None,
    per_process_gpu_memory_fraction: launcher.MemoryFraction = 0.0,
    ready_cert: launcher.ReadyCert = None,
    ready_key: launcher.ReadyKey = None,
    grpc_max_threads: Annotated[
        int, typer.Option(min=1, help="Calls at the same time; most wait for their batch.")
    ] = 128,
    grpc_channel_arguments: Annotated[
        str, typer.Option(metavar="KEY=VALUE,...", help="Further options of gRPC.")
    ] = "",
    tensorflow_session_parallelism: Annotated[
        int, typer.Option(min=0, show_default=False, help="Threads of TensorFlow, for both of the following.")
    ] = 0,
    tensorflow_intra_op_parallelism: Annotated[
        int, typer.Option(min=0, show_default=False, help="Threads within an operation.")
    ] = 0,
    tensorflow_inter_op_parallelism: Annotated[
        int, typer.Option(min=0, show_default=False, help="Operations at the same time.")
    ] = 0,
) -> None:
    """Serve exports, or any SavedModel, over gRPC as TensorFlow Serving does.

    Options may be written as TensorFlow Serving spells them, with underscores and --flag=true; those of its
    options that mean nothing here are taken too. Ctrl-C or SIGTERM stops the server when the calls under way
    are answered; a second one stops it at once.
    """
    given = [name for name, value in (
        ("BASE", bases), ("--model-config-file", model_config_file), ("--model-base-path", model_base_path),
        ("--backend", backend),
    ) if value]  # fmt: skip
    if len(given) > 1:
        raise UsageError(
            f"Models must be given in one way. Received: {' and '.join(given)}.",
            hint="Leave all but one out.",
        )
    if batching_parameters_file is not None and not enable_batching:
        raise UsageError(
            "`--batching-parameters-file` must come with --enable-batching. Received: it alone.",
            hint="Add --enable-batching.",
        )
    foreign: dict[str, str] = context.meta[_FOREIGN]
    if server_kind == launcher.SKINZOO:
        for line in tensorflow_flags.check(foreign):
            render.notice(line)
    monitoring.check(
        rest_api_port=rest_api_port, monitoring_config_file=monitoring_config_file, backend=backend
    )
    if card is not None and backend is None:
        raise UsageError("`--card` must come with --backend. Received: it alone.")
    launcher.check_server(
        server_kind,
        of_tensorflow={
            "--binary": binary,
            "--image": image,
            "--gpus": gpus,
            "--per-process-gpu-memory-fraction": per_process_gpu_memory_fraction,
            "--ready-cert": ready_cert,
            "--ready-key": ready_key,
        },
        of_ours={
            "--backend": backend,
            "--token-file": token_file,
            "--engine": engine != "tensorflow",
            "--mixed-precision": mixed_precision,
        },
    )
    channel_arguments = _channel_arguments(grpc_channel_arguments)
    import_keras()
    from skinzoo.cli.engine import options_of_engine
    from skinzoo.serving.batching import read_batching
    from skinzoo.serving.servable import LoadOptions
    from skinzoo.serving.serve import BackendRequest, ServeRequest, fronting, serving
    from skinzoo.serving.server import ServerOptions

    protection = options_of.protection(
        ssl_config_file=ssl_config_file,
        token_file=token_file,
        allow_insecure=allow_insecure,
        max_message_mib=max_message_mib,
        max_image_mib=max_image_mib,
        max_image_pixels=max_image_pixels,
        max_cases=max_cases,
        max_waiting_calls=max_waiting_calls,
        max_calls_per_client=max_calls_per_client,
        host=host,
    )
    rest = monitoring.rest_options(
        rest_api_port,
        rest_api_timeout_in_ms,
        monitoring_config_file,
        threads=rest_api_num_threads,
        cors=rest_api_enable_cors_support,
    )
    listening = ServerOptions(
        protection=protection,
        host=host,
        port=port,
        socket_path=grpc_socket_path,
        threads=grpc_max_threads,
        channel_arguments=channel_arguments,
        as_content=enable_serialization_as_tensor_content,
        rest=rest,
        observers=monitoring.observers(rest, log_format, tracing=enable_tracing),
    )
    if backend is not None:
        front = BackendRequest(address=backend, model=model_name, card=card, server=listening)
        with fronting(front) as server:
            lifecycle.until_stopped(server, lame_duck_seconds)
        lifecycle.end(idle=True)
        return
    request = ServeRequest(
        sources=_sources(bases or [], model_config_file, model_base_path, model_name),
        bases=[*(bases or []), *(reload_base or [])],
        load=LoadOptions(
            batching=read_batching(batching_parameters_file) if batching_parameters_file else None,
            enable_batching=enable_batching,
            tags=tuple(tag for tag in saved_model_tags.split(",") if tag),
            per_model_batching=enable_per_model_batching_parameters,
            warmup=enable_model_warmup,
            warmup_times=max(1, num_request_iterations_for_warmup),
            engine=options_of_engine(engine, mixed_precision, threads=tensorflow_intra_op_parallelism),
        ),
        server=listening,
        watching=lifecycle.watching(
            model_config_file,
            folders=file_system_poll_wait_seconds,
            config=model_config_file_poll_wait_seconds,
            retries=max_num_load_retries,
            interval=load_retry_interval_micros,
        ),
        grace=drain_seconds,
        intra_op_threads=tensorflow_intra_op_parallelism or tensorflow_session_parallelism,
        inter_op_threads=tensorflow_inter_op_parallelism or tensorflow_session_parallelism,
    )
    if server_kind == launcher.TENSORFLOW:
        launcher.run(
            request,
            binary=binary,
            image=image,
            gpus=gpus,
            memory_fraction=per_process_gpu_memory_fraction,
            flags=foreign,
            cert=ready_cert,
            key=ready_key,
        )
        return
    for source in request.sources:
        render.notice(f"Loading {source.name} from {source.base_path}")
    with serving(request, loaded=_announce) as (server, models):
        lifecycle.until_stopped(server, lame_duck_seconds)
    lifecycle.end(idle=models.closed)


def _announce(servable: Servable) -> None:
    what = "export of skinzoo" if servable.card is not None else "SavedModel"
    how = f"{'batched' if servable.batched else 'not batched'}, {servable.engine}"
    render.notice(f"Available: {servable.name} version {servable.version}, {what}, {how}.")


def _sources(
    bases: list[Path], config_file: Path | None, base_path: Path | None, name: str
) -> list[ModelSource]:
    from skinzoo.serving.config import read_config
    from skinzoo.serving.folders import ModelSource, default_models, find_models

    if config_file is not None:
        return read_config(config_file)
    if base_path is not None:
        return [ModelSource(name=name, base_path=base_path.expanduser().absolute())]
    return find_models(bases) if bases else default_models()


def _channel_arguments(text: str) -> list[tuple[str, str | int]]:
    found: list[tuple[str, str | int]] = []
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(
                "`--grpc-channel-arguments` must be KEY=VALUE, separated by commas. "
                f"Received: '{pair}' without a value."
            )
        found.append((key, int(value) if value.lstrip("-").isdigit() else value))
    return found
