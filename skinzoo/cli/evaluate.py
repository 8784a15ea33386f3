"""`skinzoo evaluate`: what a run, or a file of predictions, is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import names_of, one_of_these
from skinzoo.errors import UsageError
from skinzoo.specs import DatasetSpec

if TYPE_CHECKING:
    from skinzoo.evaluation.evaluate import Evaluation, Provenance
    from skinzoo.evaluation.predictions import Predictions

_PARTS = ("train", "validation", "test")
_SHOWN = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "macro_specificity",
    "roc_auc_macro",
    "roc_auc_weighted",
    "roc_auc_micro",
    "malignant_roc_auc",
    "log_loss",
    "expected_calibration_error",
    "one_vs_rest_accuracy",
    "paper_balanced_accuracy",
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    run: Annotated[str | None, typer.Argument(help="A run: path, name, unique prefix or latest.")] = None,
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
        typer.Option(help="Which dataset --external is.", autocompletion=names_of(DatasetSpec.kind)),
    ] = None,
    tta: Annotated[
        str, typer.Option(help="Average views: none, flips, rotations, dihedral or crops.")
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
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 1000,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the report; the run's evaluation/ folder for a run."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run on its split or on other data, or a bare file of predictions.

    Metrics with 95 percent intervals over lesions; with --against paired tests; with --calibrate or
    --validation calibration, prediction sets and an abstention threshold, fitted on validation only.
    """
    _check(run, predictions, external, data, dataset, validation, calibrate, part, tta)
    from skinzoo.evaluation import evaluate as service
    from skinzoo.evaluation.calibration import TEMPERATURE

    if run is not None:
        (chosen, provenance), fitted, history, folder = _of_run(
            run, part, data, external, dataset, tta, calibrate
        )
        to = to or folder
    else:
        assert predictions is not None
        chosen, provenance = _of_file(predictions)
        fitted, history = (_of_file(validation, chosen.classes)[0] if validation else None), []
    other = _other(against, part, data, external, dataset, tta) if against is not None else None
    found = service.evaluate(
        chosen,
        provenance,
        validation=fitted,
        against=other,
        calibration=calibrate or TEMPERATURE,
        coverage=coverage,
        draws=draws,
        history=history,
    )
    report = _write(found, to, keep=run is not None) if to is not None else None
    if as_json:
        render.json_document(found.to_dict())
    else:
        _print(found, report)


def _check(
    run: str | None,
    predictions: Path | None,
    external: str | None,
    data: str | None,
    dataset: str | None,
    validation: Path | None,
    calibrate: str | None,
    part: str,
    tta: str,
) -> None:
    if (run is None) == (predictions is None):
        raise UsageError(
            f"Either RUN or --predictions must be given. Received: {'neither' if run is None else 'both'}.",
            hint="For example: skinzoo evaluate latest",
        )
    if predictions is not None:
        for name, value in (("--data", data), ("--external", external), ("--dataset", dataset)):
            if value is not None:
                raise UsageError(f"{name} must come with RUN. Received: --predictions.")
        if tta != "none" or part != "test":
            raise UsageError("--tta and --part must come with RUN. Received: --predictions.")
        if calibrate is not None and validation is None:
            raise UsageError("--calibrate must come with --validation for a file. Received: none.")
    elif validation is not None:
        raise UsageError(
            "--validation must come with --predictions. Received: RUN.",
            hint="A run calibrates on its own validation part: --calibrate temperature",
        )
    if external is not None and data is not None:
        raise UsageError("--data and --external must not come together. Received: both.")
    if dataset is not None and external is None:
        raise UsageError("--dataset must come with --external. Received: --dataset alone.")


def _of_file(path: Path, classes: tuple[str, ...] | None = None) -> tuple[Predictions, Provenance]:
    from skinzoo.evaluation.evaluate import Provenance
    from skinzoo.evaluation.predictions import read_predictions

    return read_predictions(path, classes=classes), Provenance(name=path.name)


def _of_run(
    name: str,
    part: str,
    data: str | None,
    external: str | None,
    dataset: str | None,
    tta: str,
    calibrate: str | None,
) -> tuple[tuple[Predictions, Provenance], Predictions | None, list[dict[str, Any]], Path]:
    from skinzoo.cli.quiet import import_keras
    from skinzoo.evaluation.augmented import views
    from skinzoo.evaluation.of_run import predict_external, predict_part
    from skinzoo.runs import load_run

    # What can be wrong without Keras is said without waiting for it.
    run = load_run(name)
    views(tta)
    import_keras()
    if external is not None:
        found = predict_external(run, external, dataset=dataset, tta=tta)
    else:
        found = predict_part(run, part, data=data, tta=tta)
    fitted = predict_part(run, "validation", data=data, tta=tta)[0] if calibrate is not None else None
    place = found[1].part if external is None else f"external-{found[1].dataset}"
    folder = run.path / "evaluation" / (place if tta == "none" else f"{place}-{tta}")
    return found, fitted, run.folder.history(), folder


def _other(
    name: str, part: str, data: str | None, external: str | None, dataset: str | None, tta: str
) -> tuple[Predictions, Provenance]:
    if Path(name).suffix.lower() in (".csv", ".parquet"):
        return _of_file(Path(name))
    return _of_run(name, part, data, external, dataset, tta, None)[0]


def _write(found: Evaluation, folder: Path, *, keep: bool) -> Path:
    from skinzoo.evaluation.predictions import write_predictions
    from skinzoo.evaluation.report import write_report
    from skinzoo.files import write_json

    if keep:
        write_predictions(found.predictions, folder / "predictions.csv")
        if found.calibrated is not None:
            write_json(folder.parent / "calibration.json", found.calibrated.parameters())
    return write_report(found, folder)


def _print(found: Evaluation, report: Path | None) -> None:
    from skinzoo.evaluation.definitions import OVERALL_BY_NAME, of_class
    from skinzoo.evaluation.report import with_interval

    scores, intervals = found.by_image.scores, found.by_image.intervals
    for caveat in found.provenance.caveats():
        render.notice(f"Warning: {caveat}")
    plugins = [name for name in scores.overall if name not in OVERALL_BY_NAME]
    rows = [
        [
            OVERALL_BY_NAME[name].title if name in OVERALL_BY_NAME else name,
            with_interval(scores.overall[name], intervals.by_metric.get(name)),
        ]
        for name in (*_SHOWN, *plugins)
        if scores.overall[name] is not None
    ]
    render.heading(f"{found.provenance.name}: {render.number_of(len(found.predictions), 'image')}")
    render.table(["metric", f"value [95% over {intervals.unit}s]"], rows)
    render.line()
    render.table(
        ["class", "cases", "precision", "recall", "F1", "ROC-AUC"],
        [
            [
                name,
                f"{scores.support[name]:,}",
                *(
                    "absent"
                    if name in scores.absent
                    else with_interval(
                        scores.per_class[name][metric],
                        intervals.by_metric.get(of_class(metric, name)),
                        digits=2,
                    )
                    for metric in ("precision", "recall", "f1", "roc_auc")
                ),
            ]
            for name in scores.classes
        ],
        right=["cases"],
    )
    if found.against is not None:
        _print_against(found)
    if found.calibrated is not None:
        _print_calibrated(found)
    if found.subgroups is not None:
        for gap in found.subgroups.flagged:
            render.notice(
                f"Gap: {gap.metric} of {gap.by} {gap.group} is {gap.value:+.3f} "
                f"[{gap.low:+.3f}, {gap.high:+.3f}] against {gap.reference}."
            )
    if report is not None:
        render.line()
        render.line(f"Report: {report}")


def _print_against(found: Evaluation) -> None:
    from skinzoo.evaluation.definitions import OVERALL_BY_NAME
    from skinzoo.evaluation.report import with_interval

    assert found.against is not None
    tests = found.against.tests
    render.line()
    render.heading(f"Minus {found.against.provenance.name}")
    render.table(
        ["metric", "difference [95%]", "p"],
        [
            [
                OVERALL_BY_NAME[name].title,
                with_interval(d.value, d.interval),
                f"{d.p:.3g}" if d.p is not None else "-",
            ]
            for name in _SHOWN
            if (d := tests.differences.get(name)) is not None
        ],
    )
    test = tests.mcnemar
    render.line(
        f"McNemar over {test.cases:,} {test.unit}s: {test.only_first:,} right here only, "
        f"{test.only_second:,} there only, p = {test.p:.3g}"
    )


def _print_calibrated(found: Evaluation) -> None:
    calibrated = found.calibrated
    assert calibrated is not None
    before, after = found.by_image.scores.overall, calibrated.scores.overall
    render.line()
    render.heading(f"Calibrated on {calibrated.calibration.cases:,} validation images")
    temperature = calibrated.calibration.temperature
    rows = [
        ("temperature", f"{temperature:.3f}" if temperature is not None else "vector scaling"),
        *(
            (name, f"{before[key]:.3f} -> {after[key]:.3f}")
            for key, name in (
                ("expected_calibration_error", "calibration error"),
                ("log_loss", "log loss"),
            )
        ),
        (
            f"sets of {calibrated.conformal.coverage:.0%}",
            f"hold the true class in {calibrated.sets['coverage']:.1%}, {calibrated.sets['mean_size']:.2f} "
            "classes each",
        ),
    ]
    if calibrated.answered is not None:
        rows.append(("answered", f"{calibrated.answered['answered']:.1%} of the images"))
    render.fields(rows)
    if calibrated.problem:
        render.notice(calibrated.problem)
