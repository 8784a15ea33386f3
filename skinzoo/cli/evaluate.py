"""`skinzoo evaluate`: what a run, several runs together, or a file of predictions is worth."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import connection, render, scaled
from skinzoo.cli.completion import names_of, one_of_these
from skinzoo.errors import UsageError
from skinzoo.export.names import SAVED_MODEL_FILE
from skinzoo.specs import DatasetSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from skinzoo.client.evaluated import Classifier
    from skinzoo.client.security import Security
    from skinzoo.evaluation.predictor import Opened, Predictor
    from skinzoo.evaluation.request import EvaluationRequest
    from skinzoo.scale.batch import Engine

_PARTS = ("train", "validation", "test")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN...]", help="A run (path, name, unique prefix or latest), or several."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV or Parquet of image_id, lesion_id, true, one column a class."),
    ] = None,
    part: Annotated[
        str, typer.Option(help="Part of the run's split.", autocompletion=one_of_these(*_PARTS))
    ] = "test",
    data: Annotated[str | None, typer.Option(help="Where the run's data lie now.")] = None,
    external: Annotated[
        str | None, typer.Option(metavar="PATH", help="Evaluate all cases of other data instead.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Which dataset --external or --ood is.", autocompletion=names_of(DatasetSpec.kind)),
    ] = None,
    combine: Annotated[
        str,
        typer.Option(
            metavar="mean|weighted|subset",
            help="How several runs are combined; weights or subset are chosen on validation.",
            autocompletion=one_of_these("mean", "weighted", "subset"),
        ),
    ] = "mean",
    tta: Annotated[
        str,
        typer.Option(help="Average views: none, flips, rotations, dihedral, crops or crops16."),
    ] = "none",
    against: Annotated[
        str | None, typer.Option(metavar="RUN|FILE", help="Another run or file, on the same images.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Validation predictions to calibrate --predictions on."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="temperature|vector", help="Calibrate on the validation part."),
    ] = None,
    coverage: Annotated[float, typer.Option(help="Coverage of the prediction sets.")] = 0.9,
    corrupt: Annotated[
        bool, typer.Option("--corrupt", help="Measure blurred, compressed, lit and covered images too.")
    ] = False,
    ood: Annotated[
        str | None, typer.Option(metavar="DATA", help="Tell the part from images of another kind.")
    ] = None,
    ood_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Only the cases of --ood of a class that the run does not know."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of draws and corruptions.")] = 0,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the report; the run's evaluation/ folder for one run."),
    ] = None,
    predictions_format: Annotated[
        str, typer.Option(metavar="csv|parquet", help="Format of the predictions beside the report.")
    ] = "csv",
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Evaluate a served model on --data instead.")
    ] = None,
    model: Annotated[str, typer.Option(help="Name of the model on --server.")] = "",
    split: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Split of an export or a served model: its run's split.json."),
    ] = None,
    tls: connection.UseTls = False,
    ca: connection.Ca = None,
    cert: connection.Cert = None,
    key: connection.Key = None,
    token_file: connection.TokenFile = None,
    ray: scaled.UseRay = False,
    workers: scaled.Workers = None,
    address: scaled.Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run on its split or on other data, several runs together, or a bare file of predictions.

    RUN may also be the folder of an export, and --server names a served model; both need --data.

    Metrics with 95 percent intervals over lesions; with --against paired tests; with --calibrate or
    --validation calibration, prediction sets and an abstention threshold, fitted on validation only.
    """
    from skinzoo.cli.evaluation_text import print_evaluation
    from skinzoo.cli.progress import prediction_progress
    from skinzoo.cli.quiet import import_keras
    from skinzoo.evaluation.request import EvaluationRequest, prepare

    request = EvaluationRequest(
        runs=tuple(runs or ()),
        predictions=predictions,
        part=part,
        data=data,
        external=external,
        dataset=dataset,
        combine=combine,
        tta=tta,
        against=against,
        validation=validation,
        calibrate=calibrate,
        coverage=coverage,
        corrupt=corrupt,
        ood=ood,
        ood_class=ood_class,
        draws=draws,
        seed=seed,
        to=to,
        predictions_format=predictions_format,
    )
    export = _export_folder(request.runs)
    served = server is not None or export is not None
    _check(request, served, server)
    scaled.check(ray, workers=workers, address=address)
    if ray:
        _check_ray(request, server)
    security = connection.security(
        to_server=server is not None, tls=tls, ca=ca, cert=cert, key=key, token_file=token_file
    )
    if not served and (split is not None or model):
        raise UsageError("--split and --model must come with an export or --server. Received: neither.")
    with ExitStack() as stack:
        # A cluster is started where all is known to be well, by the first run that is opened.
        engine = functools.cache(lambda: stack.enter_context(scaled.engine(address, workers)))
        # What can be wrong without Keras is said without waiting for it.
        prepared = prepare(request, opened=_opened(engine if ray else None)) if not served else None
        if not ray and (prepared is None or prepared.needs_model):
            import_keras()
        if prepared is None:
            classifier = _export(export, engine if ray else None) if export is not None else None
            given = _served(stack, server, model, classifier, split, dataset, security)
            prepared = prepare(request, given)
        found = prepared.evaluate(stack.enter_context(prediction_progress()))
    report = prepared.write(found)
    if as_json:
        render.json_document(found.to_dict())
    else:
        print_evaluation(found, report)


def _export_folder(names: tuple[str, ...]) -> Path | None:
    """Return the folder of an export, where exactly one is named.

    Any other folder may by chance have the name of a run.
    """
    folder = Path(names[0]) if len(names) == 1 else None
    if folder is None or not folder.is_dir():
        return None
    versions = (path for path in folder.iterdir() if path.name.isdecimal())
    return folder if (folder / SAVED_MODEL_FILE).is_file() or any(versions) else None


def _served(
    stack: ExitStack,
    server: str | None,
    model: str,
    export: Classifier | None,
    split: Path | None,
    dataset: str | None,
    security: Security | None,
) -> Predictor:
    from skinzoo.client.evaluated import ServedPredictor
    from skinzoo.client.options import ClientOptions
    from skinzoo.data.splits import Split

    known = Split.load(split.expanduser()) if split is not None else None
    if server is not None:
        from skinzoo.client import Client

        client = stack.enter_context(
            Client(
                server,
                model=model,
                credentials=security.credentials() if security is not None else None,
                token=security.token if security is not None else "",
                # A run takes terms that it was not trained on, too.
                options=ClientOptions(any_term=True),
                notify=render.notice,
            )
        )
        # One version answers all cases.
        client.pin()
        return ServedPredictor(client, f"the server {client.server}", split=known, dataset=dataset)
    assert export is not None
    return ServedPredictor(export, "an export", split=known, dataset=dataset)


def _export(folder: Path, engine: Callable[[], Engine] | None) -> Classifier:
    if engine is not None:
        from skinzoo.scale.evaluated import classifier_of_export

        return classifier_of_export(engine(), folder)
    from skinzoo.client.local import ExportPredictor
    from skinzoo.client.options import ClientOptions

    # A run takes terms that it was not trained on, too.
    return ExportPredictor(folder, ClientOptions(any_term=True))


def _opened(engine: Callable[[], Engine] | None) -> Opened:
    if engine is None:
        from skinzoo.evaluation.predictor import RunPredictor

        return RunPredictor
    from skinzoo.scale.evaluated import ScaledRun

    return lambda run: ScaledRun(engine(), run)


def _check_ray(request: EvaluationRequest, server: str | None) -> None:
    if server is not None or request.predictions is not None:
        raise UsageError(
            "--ray must come with a run or an export. Received: "
            f"{'--server' if server is not None else '--predictions'}."
        )
    if request.ood is not None or request.corrupt or request.tta != "none":
        raise UsageError(
            "--ood, --corrupt and --tta must come without --ray. Received: both.",
            hint="They look into the model, which only one process has then.",
        )


def _check(request: EvaluationRequest, served: bool, server: str | None) -> None:
    given = [bool(request.runs), request.predictions is not None, server is not None]
    if sum(given) != 1:
        raise UsageError(
            "Either RUN or --predictions or --server must be given. Received: "
            f"{'neither' if not any(given) else 'both' if sum(given) == 2 else 'all'}.",
            hint="For example: skinzoo evaluate latest",
        )
    if served:
        if request.ood is not None or request.corrupt or request.tta != "none":
            raise UsageError(
                "--ood, --corrupt and --tta must come with a run, whose model can be looked into. Received: "
                "an export or a server."
            )
        if request.data is None and request.external is None:
            raise UsageError("--data must come with an export or a server. Received: none.")
    if request.predictions is not None:
        for name, value in (
            ("--data", request.data),
            ("--external", request.external),
            ("--dataset", request.dataset),
            ("--ood", request.ood),
            ("--corrupt", request.corrupt or None),
        ):
            if value is not None:
                raise UsageError(f"{name} must come with RUN. Received: --predictions.")
        if request.tta != "none" or request.part != "test" or request.combine != "mean":
            raise UsageError("--tta, --part and --combine must come with RUN. Received: --predictions.")
        if request.calibrate is not None and request.validation is None:
            raise UsageError("--calibrate must come with --validation for a file. Received: none.")
    elif request.validation is not None:
        raise UsageError(
            "--validation must come with --predictions. Received: RUN.",
            hint="A run calibrates on its own validation part: --calibrate temperature",
        )
    if request.external is not None and request.data is not None:
        raise UsageError("--data and --external must not come together. Received: both.")
    if request.dataset is not None and not served and (request.external is None) == (request.ood is None):
        raise UsageError(
            "--dataset must come with either --external or --ood. Received: "
            f"{'--dataset alone' if request.ood is None else 'both'}."
        )
    if request.ood is None and request.ood_class is not None:
        raise UsageError(
            "--ood-class must come with --ood. Received: --ood-class alone.",
            hint="Name the data that hold the class: --ood DATA",
        )
    if request.ood is not None and (request.external is not None or len(request.runs) > 1):
        raise UsageError(
            "--ood must come with one run and a part of its split. Received: "
            f"{'several runs' if len(request.runs) > 1 else '--external'}."
        )
