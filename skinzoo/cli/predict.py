"""`skinzoo predict`: cases to a server, a run or an export, results to the screen or to a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import connection, render, scaled
from skinzoo.cli.completion import one_of_these
from skinzoo.errors import PartialFailureError, UsageError

if TYPE_CHECKING:
    from skinzoo.client.cases import Result
    from skinzoo.client.job import Predictor
    from skinzoo.client.options import ClientOptions
    from skinzoo.client.outputs import ResultFile, Tally
    from skinzoo.client.sources import Source

_SERVER = "127.0.0.1:8500"
_MIB = 1 << 20
TABLE, CSV, JSONL = "table", "csv", "jsonl"
_FORMATS = (TABLE, CSV, JSONL)
_APIS = ("auto", "typed", "tensorflow")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    cases: Annotated[list[Path], typer.Argument(help="Images, or a folder, CSV, Parquet or JSONL file.")],
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help=f"The server; {_SERVER} unless given.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="A run instead of a server: path, name or latest.")] = None,
    export: Annotated[Path | None, typer.Option(metavar="DIR", help="An export instead of a server.")] = None,
    age: Annotated[float | None, typer.Option(help="Years, for images.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male, for images.")] = None,
    localization: Annotated[str | None, typer.Option(help="Site of the lesion, for images.")] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images of a table; its own folder unless given.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write results to a .csv or .jsonl file, with --ray to a folder."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file of --to.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --to.")] = False,
    format: Annotated[
        str, typer.Option(help="On the screen: table, csv or jsonl.", autocompletion=one_of_these(*_FORMATS))
    ] = TABLE,
    model: Annotated[str | None, typer.Option(help="Model on the server.")] = None,
    version: Annotated[int | None, typer.Option(help="Its version; the newest unless given.")] = None,
    label: Annotated[str | None, typer.Option(help="A version's label.")] = None,
    api: Annotated[
        str, typer.Option(help="auto, typed or tensorflow.", autocompletion=one_of_these(*_APIS))
    ] = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds for one request.")] = 60.0,
    retry_seconds: Annotated[
        float, typer.Option(help="Seconds to try again while the server is away.")
    ] = 120.0,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the server at the start.")] = 0.0,
    batch: Annotated[int, typer.Option(help="Most cases in a request.")] = 32,
    batch_mib: Annotated[float, typer.Option("--batch-mib", help="Most MiB of images in a request.")] = 16.0,
    in_flight: Annotated[int, typer.Option(help="Requests under way at a time.")] = 4,
    any_term: Annotated[
        bool, typer.Option("--any-term", help="Send terms that the model does not know.")
    ] = False,
    ray: scaled.UseRay = False,
    workers: scaled.Workers = None,
    address: scaled.Address = None,
    shard: Annotated[
        int | None, typer.Option(min=1, metavar="CASES", help="Cases in a file of --ray; 256 unless given.")
    ] = None,
    tls: connection.UseTls = False,
    ca: connection.Ca = None,
    cert: connection.Cert = None,
    key: connection.Key = None,
    token_file: connection.TokenFile = None,
) -> None:
    """Classify images with what is known of the patients. Research only: no diagnosis.

    A table needs a column `image` with paths, or `image_id` with names of files in --images; columns age,
    sex and localization are optional. Exit code 7 means that some cases have an error instead of an answer.
    """
    _check(server, run, export, to, resume, overwrite, format, (model, version, label))
    scaled.check(ray, workers=workers, address=address, shard=shard)
    if ray and (to is None or (run is None and export is None)):
        raise UsageError(
            "--ray must come with --run or --export, and with --to FOLDER. Received: "
            f"{'no model' if to is not None else 'no --to'}."
        )
    from skinzoo.client.options import ClientOptions
    from skinzoo.client.sources import read_source

    security = connection.security(
        to_server=run is None and export is None, tls=tls, ca=ca, cert=cert, key=key, token_file=token_file
    )
    source = read_source(cases, images=images, age=age, sex=sex, localization=localization)
    options = ClientOptions(
        api=api,
        timeout=timeout,
        retry_seconds=retry_seconds,
        wait=wait,
        batch=batch,
        batch_bytes=int(batch_mib * _MIB),
        in_flight=in_flight,
        any_term=any_term,
    )
    if ray:
        assert to is not None
        _scaled(source, options, run, export, to, resume, overwrite, (address, workers), shard)
        return
    with _file(to, resume=resume, overwrite=overwrite) as file:
        if run is not None:
            predictor = _run(run, options)
        elif export is not None:
            predictor = _export(export, options)
        else:
            chosen: dict[str, Any] = {"model": model or "", "version": version, "label": label or ""}
            if security is not None:
                chosen |= {"credentials": security.credentials(), "token": security.token}
            with _client(server or _SERVER, chosen, file, options) as client:
                _predict(client, source, file, format)
            return
        _predict(predictor, source, file, format)


def _check(
    server: str | None,
    run: str | None,
    export: Path | None,
    to: Path | None,
    resume: bool,
    overwrite: bool,
    format: str,
    selected: tuple[object, ...],
) -> None:
    from skinzoo.errors import one_of

    given = [
        name
        for name, value in (("--server", server), ("--run", run), ("--export", export))
        if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} must not come together. Received: both.")
    if (run is not None or export is not None) and any(one is not None for one in selected):
        raise UsageError(f"--model, --version and --label must come with --server. Received: {given[0]}.")
    if format not in _FORMATS:
        raise one_of("format", format, _FORMATS)
    if to is None and (resume or overwrite):
        raise UsageError("--resume and --overwrite must come with --to FILE. Received: no --to.")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite must not come together. Received: both.")


@contextmanager
def _file(path: Path | None, *, resume: bool, overwrite: bool) -> Iterator[ResultFile | None]:
    if path is None:
        yield None
        return
    from skinzoo.client.outputs import ResultFile

    with ResultFile(path, resume=resume, overwrite=overwrite) as file:
        try:
            yield file
        except BaseException:
            if file.tally.total:
                render.notice(f"{file.tally.total:,} results are in {path}; go on with --resume.")
            raise


@contextmanager
def _client(
    server: str, chosen: dict[str, Any], file: ResultFile | None, options: ClientOptions
) -> Iterator[Predictor]:
    from skinzoo.client.synchronous import Client

    if options.api == _APIS[2]:
        from skinzoo.cli.quiet import import_keras

        import_keras()
    name, _, version = (file.model if file else "").rpartition("/")
    if version and chosen["version"] is None and not chosen["label"]:
        # A batch is answered by one version from its first case to its last.
        chosen = {**chosen, "model": chosen["model"] or name, "version": int(version)}
    with Client(server, **chosen, options=options, notify=render.notice) as client:
        client.pin()
        yield client


def _run(name: str, options: ClientOptions) -> Predictor:
    from skinzoo.cli.quiet import import_keras
    from skinzoo.client.local import RunPredictor
    from skinzoo.runs import load_run

    found = load_run(name)
    import_keras()
    return RunPredictor(found, options)


def _export(folder: Path, options: ClientOptions) -> Predictor:
    from skinzoo.cli.quiet import import_keras
    from skinzoo.client.local import ExportPredictor, version_folder

    version_folder(folder)
    import_keras()
    return ExportPredictor(folder, options)


def _predict(predictor: Predictor, source: Source, file: ResultFile | None, format: str) -> None:
    from skinzoo.client import job, outputs
    from skinzoo.client.cases import check_properties

    model = predictor.model
    if source.single:
        # What was typed on the command line is worth an error of the command.
        check_properties(next(source.cases()), model, any_term=predictor.options.any_term)
    found: list[Result] = []

    def show(result: Result) -> None:
        if file is None and format != TABLE:
            text = outputs.line(result, model.classes, format, calibrated=model.has_calibration)
            render.line(text.rstrip("\n"))
        elif file is None or not result.ok:
            found.append(result)

    if file is None and format == CSV:
        head = outputs.header(model.classes, format, calibrated=model.has_calibration)
        render.line(head.rstrip("\n"))
    with render.counted("Cases") as progress:
        tally = job.predict(predictor, source, file=file, each=show, progress=progress)
    if file is None and format == TABLE:
        _table(found, calibrated=model.has_calibration)
    elif file is not None:
        _summary(str(model), file, tally, found)
    _fail(tally, "The last column says why." if file is None else f"The errors are in {file.path}.")


def _fail(tally: Tally, hint: str) -> None:
    if tally.failed:
        raise PartialFailureError(
            f"Every case must be answered. Received: {tally.failed:,} of "
            f"{render.number_of(tally.total, 'case')} with an error.",
            hint=hint,
        )


def _scaled(
    source: Source,
    options: ClientOptions,
    run: str | None,
    export: Path | None,
    to: Path,
    resume: bool,
    overwrite: bool,
    cluster: tuple[str | None, int | None],
    shard: int | None,
) -> None:
    from skinzoo.runs import load_run
    from skinzoo.scale import batch
    from skinzoo.scale.models import shared_export, shared_run
    from skinzoo.scale.shards import ShardFolder

    if run is not None:
        model = shared_run(load_run(run))
    else:
        assert export is not None
        model = shared_export(export)
    with ShardFolder(to, resume=resume, overwrite=overwrite) as folder:
        missing = folder.begin(batch.plan(model, source, options, shard or batch.SHARD))
        if missing:
            with scaled.engine(*cluster) as engine, render.counted("Cases") as progress:
                session = batch.predict(engine, model, source, folder, options, missing, progress)
            for name, error in session.errors:
                render.notice(f"{name}: {error}")
            scaled.show_pace(session)
    _done(model.name, folder.tally, to)
    _fail(folder.tally, f"The errors are in {to}.")


def _table(results: list[Result], *, calibrated: bool) -> None:
    columns = ["case", "class", "probability", *(["calibrated"] if calibrated else []), "note"]
    rows = []
    # Names alone are easier to read than paths, where they tell the images apart.
    shown = {one.id: Path(one.id).name for one in results}
    if len(set(shown.values())) < len(shown):
        shown = {}
    for one in results:
        top = max(one.probabilities, default=0.0)
        scaled = [f"{max(one.calibrated, default=0.0):.4f}" if one.ok else ""] if calibrated else []
        note = one.error or " ".join([*(["Too unsure to answer."] if one.abstain else []), *one.warnings])
        rows.append(
            [shown.get(one.id, one.id), one.predicted_class, f"{top:.4f}" if one.ok else "", *scaled, note]
        )
    render.table(columns, rows, right=["probability", "calibrated"], wrap=["case", "note"])


def _summary(model: str, file: ResultFile, tally: Tally, failed: list[Result]) -> None:
    for one in failed[:5]:
        render.notice(f"{one.id}: {one.error}")
    _done(model, tally, file.path)


def _done(model: str, tally: Tally, path: Path) -> None:
    render.line(
        f"{render.number_of(tally.answered, 'case')} answered by {model}, {tally.failed:,} failed. "
        f"Results: {path}"
    )
