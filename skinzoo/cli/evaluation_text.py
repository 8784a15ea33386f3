"""How an evaluation shows on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.cli import render

if TYPE_CHECKING:
    from skinzoo.evaluation.evaluate import Evaluation
    from skinzoo.evaluation.ood_of_run import OutOfDistribution
    from skinzoo.evaluation.robustness import Robustness

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


def print_evaluation(found: Evaluation, report: Path | None) -> None:
    """Print metrics with their intervals, and where the report lies."""
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
    for step in found.provenance.steps:
        render.paragraph(step[0].upper() + step[1:])
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
    if found.robustness is not None:
        _print_robustness(found.robustness)
    if found.ood is not None:
        _print_ood(found.ood)
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


def _print_robustness(robustness: Robustness) -> None:
    render.line()
    render.heading("Balanced accuracy on corrupted images")
    render.table(
        ["corruption", "1", "2", "3", "4", "5", "mean", "of clean"],
        [
            [
                name,
                *(f"{cell.balanced_accuracy:.3f}" for cell in robustness.of(name)),
                f"{robustness.mean(name):.3f}",
                _percent(robustness.relative(robustness.mean(name))),
            ]
            for name in robustness.corruptions
        ],
    )
    render.line(
        f"Clean {robustness.clean:.3f}, mean of all {robustness.mean():.3f} "
        f"({_percent(robustness.relative(robustness.mean()))}); applied to the decoded square"
    )


def _print_ood(ood: OutOfDistribution) -> None:
    from skinzoo.evaluation.report import with_interval

    normal, other = ood.cases
    render.line()
    render.heading(f"{normal:,} images of the {ood.part} part against {other:,} of {ood.other}")
    render.table(
        ["score", "AUROC [95%]", "FPR at 95% TPR [95%]"],
        [
            [
                one.name.replace("_", " "),
                with_interval(one.auroc, one.auroc_interval),
                with_interval(one.fpr95, one.fpr95_interval),
            ]
            for one in ood.separations
        ],
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
