"""The report of an evaluation: one self-contained HTML page, the same as Markdown, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skinzoo import __version__
from skinzoo.evaluation import figures
from skinzoo.evaluation.definitions import OVERALL, PER_CLASS, of_class
from skinzoo.evaluation.diagnoses import melanoma_class, nevus_class
from skinzoo.evaluation.evaluate import NOT_STATED, Evaluation, Measured
from skinzoo.evaluation.intervals import Interval
from skinzoo.evaluation.predictions import lesions_agree
from skinzoo.evaluation.report_shift import ood_section, robustness_section
from skinzoo.evaluation.section import Section
from skinzoo.evaluation.subgroups import NOTE as SUBGROUPS_NOTE
from skinzoo.files import write_json, write_text
from skinzoo.pages import Grid, Thumbnail, render_page, thumbnail
from skinzoo.pages.markdown import escaped, markdown_table

HTML, MARKDOWN, JSON, FIGURES = "report.html", "report.md", "report.json", "figures"
GALLERY = 12
"""Images of each gallery."""
MISTAKES = 15
"""Rows of the table of the worst mistakes."""
_TILES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc_macro", "expected_calibration_error")
_COMPARED = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "roc_auc_macro",
    "malignant_roc_auc",
    "log_loss",
    "brier",
)
_GROUPED = ("accuracy", "balanced_accuracy", "roc_auc_macro")


def write_report(evaluation: Evaluation, folder: Path) -> Path:
    """Write the report as HTML, Markdown and JSON, and its figures as PNG.

    Args:
        evaluation: What was measured.
        folder: Folder for the files, made where it does not exist.

    Returns:
        The HTML file, which needs nothing beside it.
    """
    sections = _sections(evaluation)
    write_text(folder / HTML, _html(evaluation, sections))
    write_json(folder / JSON, evaluation.to_dict())
    for section in sections:
        for picture in section.pictures:
            picture.save(folder / FIGURES)
    write_text(folder / MARKDOWN, _markdown(evaluation, sections))
    return folder / HTML


def render_html(evaluation: Evaluation) -> str:
    """Return the report as one HTML page that needs nothing beside it."""
    return _html(evaluation, _sections(evaluation))


def render_markdown(evaluation: Evaluation) -> str:
    """Return the report as Markdown, with its figures as files of the folder `figures`."""
    return _markdown(evaluation, _sections(evaluation))


def with_interval(value: float | None, interval: Interval | None, digits: int = 3) -> str:
    """Return a number with its interval as text; `-` where it is undefined."""
    if value is None:
        return "-"
    spread = f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval is not None else ""
    return f"{value:.{digits}f}{spread}"


def _html(evaluation: Evaluation, sections: Sequence[Section]) -> str:
    provenance, intervals = evaluation.provenance, evaluation.by_image.intervals
    banner = provenance.caveats() if provenance.grave else []
    return render_page(
        "skinzoo.evaluation",
        "evaluation.html.j2",
        provenance=provenance,
        cases=len(evaluation.predictions),
        banner=banner,
        notes=_notes(evaluation, banner),
        tiles=_tiles(evaluation.by_image),
        sections=[
            {
                "title": section.title,
                "id": section.title.lower().replace(" ", "-"),
                "text": section.text,
                "plots": [picture.plot() for picture in section.pictures],
                "grids": section.grids,
                "galleries": section.galleries,
            }
            for section in sections
        ],
        method=f"percentile bootstrap over {intervals.unit}s",
        draws=intervals.draws,
        level=f"{intervals.level:.0%}",
        version=__version__,
    )


def _markdown(evaluation: Evaluation, sections: Sequence[Section]) -> str:
    intervals = evaluation.by_image.intervals
    steps = ", ".join(("evaluation", *evaluation.provenance.steps))
    lines = [f"# {escaped(evaluation.provenance.name)}: {escaped(steps)}", ""]
    lines += [f"> **Warning.** {escaped(sentence)}\n" for sentence in evaluation.provenance.caveats()]
    lines += [f"- {escaped(note)}" for note in _notes(evaluation, evaluation.provenance.caveats())]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        if section.text:
            lines += [section.text, ""]
        for picture in section.pictures:
            lines += [f"![{escaped(picture.alt)}]({FIGURES}/{picture.name}.png)", ""]
        for grid in section.grids:
            lines += [f"**{escaped(grid.title)}**" + (f" {escaped(grid.note)}" if grid.note else ""), ""]
            lines += [*markdown_table(grid), ""]
    lines += [
        f"Intervals: percentile bootstrap over {intervals.unit}s, {intervals.draws:,} draws, "
        f"{intervals.level:.0%}. Made by skinzoo {__version__}. "
        "For research and education, not for diagnosis.",
    ]
    return "\n".join(lines) + "\n"


def _sections(evaluation: Evaluation) -> list[Section]:
    by_image, against = evaluation.by_image, evaluation.against
    scores, intervals = by_image.scores, by_image.intervals.by_metric
    bars = [
        figures.class_bars_picture(
            metric,
            title,
            scores,
            intervals,
            name=evaluation.provenance.name,
            other=against.measured.scores if against else None,
            other_intervals=against.measured.intervals.by_metric if against else None,
            other_name=against.provenance.name if against else "",
        )
        for metric, title in (("f1", "F1"), ("recall", "Recall"))
    ]
    sections = [
        Section("Origin", grids=(_origin_grid(evaluation),)),
        Section("Metrics", grids=(_overall_grid(evaluation),)),
        Section("Classes", pictures=tuple(bars), grids=(_class_grid(by_image),)),
        Section(
            "Confusions",
            pictures=tuple(figures.confusion_picture(scores, normalised=n) for n in (False, True)),
        ),
        Section(
            "Curves",
            pictures=(
                figures.roc_picture(evaluation.predictions, scores, intervals),
                figures.precision_recall_picture(evaluation.predictions, scores, intervals),
            ),
        ),
        _calibration_section(evaluation),
    ]
    if against is not None:
        sections.append(_against_section(evaluation))
    if evaluation.subgroups is not None and evaluation.subgroups.groups:
        sections.append(_subgroup_section(evaluation))
    if evaluation.robustness is not None:
        sections.append(robustness_section(evaluation.robustness))
    if evaluation.ood is not None:
        sections.append(ood_section(evaluation.ood))
    if evaluation.history:
        picture = figures.learning_picture(evaluation.history)
        sections += [Section("Training", pictures=(picture,))] if picture else []
    sections.append(_mistakes_section(evaluation))
    sections.append(
        Section(
            "Definitions",
            grids=(
                Grid("Metrics of a part", ["metric", "definition"], [[d.title, d.text] for d in OVERALL]),
                Grid("Metrics of a class", ["metric", "definition"], [[d.title, d.text] for d in PER_CLASS]),
            ),
        )
    )
    return sections


def _notes(evaluation: Evaluation, banner: Sequence[str]) -> list[str]:
    scores = evaluation.by_image.scores
    notes = [sentence for sentence in evaluation.provenance.caveats() if sentence not in banner]
    notes += evaluation.provenance.warnings
    if scores.absent:
        notes.append(
            f"No case of {', '.join(scores.absent)}: their metrics are absent, and means leave them out."
        )
    reasons: dict[str, list[str]] = {}
    for name, reason in scores.undefined.items():
        if not any(name == of_class(d.name, absent) for absent in scores.absent for d in PER_CLASS):
            reasons.setdefault(reason, []).append(name)
    notes += [f"{reason} Undefined: {', '.join(names)}." for reason, names in reasons.items()]
    few = [name for name, number in scores.support.items() if 0 < number < 30]
    if few:
        notes.append(f"Fewer than 30 cases of {', '.join(few)}: read their numbers with their intervals.")
    if not evaluation.predictions.has_lesions:
        notes.append(
            "No lesion ids: intervals take images for independent, and are too narrow where lesions "
            "have several."
        )
    if not lesions_agree(evaluation.predictions):
        notes.append(
            "Some ids of lesions or patients have several classes, so nothing is measured by lesion."
        )
    if scores.malignant:
        notes.append(f"Counted as malignant: {', '.join(scores.malignant)}.")
    return notes


def _tiles(measured: Measured) -> list[tuple[str, str]]:
    titles = {definition.name: definition.title for definition in OVERALL}
    return [
        (titles[name].lower().replace("roc-auc", "ROC-AUC").replace("f1", "F1"), f"{value:.3f}")
        for name in _TILES
        if (value := measured.scores.overall[name]) is not None
    ]


def _origin_grid(evaluation: Evaluation) -> Grid:
    provenance = evaluation.provenance
    predictions = evaluation.predictions
    lesions = f"{int(predictions.units.max()) + 1:,}" if predictions.has_lesions else "no ids"
    rows = [
        ("run or file", provenance.name),
        ("variant", provenance.variant),
        ("recipe", provenance.recipe),
        ("recipe hash", provenance.recipe_hash),
        ("dataset", provenance.dataset),
        ("protocol", provenance.protocol),
        ("stamps of the split", ", ".join(provenance.stamps) or "none"),
        ("split hash", provenance.split_hash),
        ("part", provenance.part),
        ("images", f"{len(evaluation.predictions):,}"),
        ("lesions", lesions),
        ("at prediction", ", ".join(provenance.steps) or "one view of each image"),
    ]  # fmt: skip
    return Grid("What was evaluated", ["property", "value"], [list(row) for row in rows])


def _overall_grid(evaluation: Evaluation) -> Grid:
    measured = [("by image", evaluation.by_image)]
    if evaluation.by_lesion is not None:
        measured.append(("by lesion", evaluation.by_lesion))
    own = {definition.name: definition.title for definition in OVERALL}
    names = [*own, *(name for name in evaluation.by_image.scores.overall if name not in own)]
    rows = [
        [
            own.get(name, f"{name} (plugin)"),
            *(
                with_interval(one.scores.overall[name], one.intervals.by_metric.get(name))
                for _, one in measured
            ),
        ]
        for name in names
    ]
    note = "95% intervals in brackets."
    if evaluation.by_lesion is not None:
        note += " By lesion: the mean of the probabilities of a lesion's images."
    return Grid("Metrics", ["metric", *(title for title, _ in measured)], rows, note)


def _class_grid(measured: Measured) -> Grid:
    shown = [d for d in PER_CLASS if d.name not in ("one_vs_rest_accuracy", "paper_balanced_accuracy")]
    rows = []
    for name in measured.scores.classes:
        row = [name, f"{measured.scores.support[name]:,}"]
        for definition in shown:
            key = of_class(definition.name, name)
            absent = name in measured.scores.absent
            row.append(
                "absent"
                if absent
                else with_interval(
                    measured.scores.per_class[name][definition.name],
                    measured.intervals.by_metric.get(key),
                    digits=2,
                )
            )
        rows.append(row)
    return Grid(
        "Each class", ["class", "cases", *(d.title for d in shown)], rows, "95% intervals in brackets."
    )


def _calibration_section(evaluation: Evaluation) -> Section:
    calibrated = evaluation.calibrated
    if calibrated is None:
        return Section("Calibration", pictures=(figures.reliability_picture(evaluation.reliability),))
    fitted, sets = calibrated.calibration, calibrated.sets
    before, after = evaluation.by_image.scores.overall, calibrated.scores.overall
    title = f"temperature {fitted.temperature:.3f}" if fitted.temperature is not None else "vector scaling"
    rows = [
        [
            name,
            with_interval(before[key], None),
            with_interval(after[key], None),
        ]
        for key, name in (
            ("expected_calibration_error", "Expected calibration error"),
            ("log_loss", "Log loss"),
            ("brier", "Brier score"),
            ("accuracy", "Accuracy"),
        )
    ]
    grids = [
        Grid(
            f"Calibration: {title}",
            ["metric", "as predicted", "calibrated"],
            rows,
            f"Fitted on {fitted.cases:,} validation images.",
        ),
        Grid(
            f"Prediction sets ({calibrated.conformal.method.upper()})",
            ["property", "value"],
            [
                ["stated coverage", f"{calibrated.conformal.coverage:.1%}"],
                [
                    "measured coverage here",
                    f"{sets['coverage']:.1%} (standard error {sets['coverage_standard_error']:.1%})",
                ],
                ["mean classes in a set", f"{sets['mean_size']:.2f}"],
                *(
                    [f"coverage of {name}", f"{value:.1%}" if value is not None else "absent"]
                    for name, value in sets["coverage_per_class"].items()
                ),
            ],
            "The coverage is stated for all cases together, not for each class.",
        ),
    ]
    if calibrated.abstention is not None and calibrated.answered is not None:
        answered = calibrated.answered
        grids.append(
            Grid(
                "Abstention",
                ["property", "value"],
                [
                    ["answered from a probability of", f"{calibrated.abstention.threshold:.3f}"],
                    ["accuracy aimed at on validation", f"{calibrated.abstention.target:.1%}"],
                    ["answered here", f"{answered['answered']:.1%} of {answered['cases']:,} images"],
                    [
                        "accuracy of the answered here",
                        f"{answered['accuracy']:.1%}"
                        if answered["accuracy"] is not None
                        else "none answered",
                    ],
                ],
            )
        )
    return Section(
        "Calibration",
        text=calibrated.problem,
        pictures=(figures.reliability_picture(evaluation.reliability, calibrated.reliability),),
        grids=tuple(grids),
    )


def _against_section(evaluation: Evaluation) -> Section:
    against = evaluation.against
    assert against is not None
    tests, other = against.tests, against.measured
    titles = {definition.name: definition.title for definition in OVERALL}
    shown = {name: tests.differences[name] for name in _COMPARED if name in tests.differences}
    test = tests.mcnemar
    first, second = evaluation.provenance.name, against.provenance.name
    text = (
        f"{first} against {second}. McNemar's exact test over {test.cases:,} {test.unit}s: "
        f"{test.only_first:,} right in the first only, {test.only_second:,} in the second only, "
        f"p = {test.p:.3g}."
    )
    hashes = {evaluation.provenance.split_hash, against.provenance.split_hash}
    if NOT_STATED in hashes:
        text += " A file of predictions does not tell whether these cases were trained on."
    elif len(hashes) > 1:
        text += " The two stand on different splits, so one may have been trained on these cases."
    return Section(
        "Comparison",
        text=text,
        pictures=(
            figures.metric_differences_picture(
                {
                    name: (titles[name], d.value, d.interval)
                    for name, d in shown.items()
                    if name != "log_loss"  # On a scale of its own, it would squeeze the others.
                },
                first,
                second,
            ),
        ),
        grids=(
            Grid(
                "Differences",
                ["metric", first, second, "difference", "p"],
                [
                    [
                        titles[name],
                        with_interval(evaluation.by_image.scores.overall[name], None),
                        with_interval(other.scores.overall[name], None),
                        with_interval(d.value, d.interval),
                        f"{d.p:.3g}" if d.p is not None else "-",
                    ]
                    for name, d in shown.items()
                ],
            ),
        ),
    )


def _subgroup_section(evaluation: Evaluation) -> Section:
    subgroups = evaluation.subgroups
    assert subgroups is not None
    titles = {definition.name: definition.title for definition in OVERALL}
    melanoma = melanoma_class(evaluation.predictions.classes)
    keys = [*_GROUPED, *([of_class("recall", melanoma)] if melanoma else [])]
    heads = [titles.get(key, f"Recall of {melanoma}") for key in keys]
    grids = []
    for by in dict.fromkeys(group.by for group in subgroups.groups):
        rows = []
        for group in subgroups.groups:
            if group.by != by:
                continue
            row = [group.name, f"{group.cases:,}", f"{group.lesions:,}"]
            if group.scores is None:
                row += ["too few"] * len(keys)
            else:
                flat = group.scores.flat()
                row += [with_interval(flat[key], group.intervals.get(key)) for key in keys]
            rows.append(row)
        grids.append(Grid(f"By {by}", [by, "images", "lesions", *heads], rows))
    flagged = [
        [
            f"{gap.by} {gap.group}",
            gap.reference,
            titles.get(gap.metric, gap.metric),
            f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]",
        ]
        for gap in subgroups.flagged
    ]
    if flagged:
        grids.insert(
            0,
            Grid(
                "Gaps that their intervals allow to name",
                ["group", "largest group", "metric", "gap"],
                flagged,
            ),
        )
    text = SUBGROUPS_NOTE
    if not flagged:
        text = f"None of {len(subgroups.gaps)} gaps is clear of 0. " + text
    if subgroups.unknown:
        text += f" Not known here: {', '.join(subgroups.unknown)}."
    return Section("Subgroups", text=text, grids=tuple(grids))


def _mistakes_section(evaluation: Evaluation) -> Section:
    predictions = evaluation.predictions
    top = predictions.probabilities.max(axis=1)
    own = predictions.probabilities[np.arange(len(predictions)), predictions.true]
    wrong = np.flatnonzero(predictions.predicted != predictions.true)
    worst = wrong[np.argsort(own[wrong], kind="stable")]
    grid = Grid(
        "The worst mistakes",
        ["image", "true class", "its probability", "predicted class", "its probability "],
        [
            [
                str(predictions.image_id[i]),
                predictions.classes[predictions.true[i]],
                f"{own[i]:.3f}",
                predictions.classes[predictions.predicted[i]],
                f"{top[i]:.3f}",
            ]
            for i in worst[:MISTAKES]
        ],
        f"{len(wrong):,} of {len(predictions):,} images are wrong; the least probable true classes first.",
    )
    galleries = [("The worst mistakes", _gallery(evaluation, worst))]
    melanoma, nevus = melanoma_class(predictions.classes), nevus_class(predictions.classes)
    if melanoma and nevus:
        for true, predicted in ((melanoma, nevus), (nevus, melanoma)):
            pair = [
                i
                for i in worst
                if predictions.classes[predictions.true[i]] == true
                and predictions.classes[predictions.predicted[i]] == predicted
            ]
            galleries.append(
                (f"{true} taken for {predicted}: {len(pair):,} images", _gallery(evaluation, pair))
            )
    return Section(
        "Mistakes",
        text="" if "image_path" in predictions.facts else "The predictions name no image files to show.",
        grids=(grid,),
        galleries=tuple((title, images) for title, images in galleries if images),
    )


def _gallery(evaluation: Evaluation, rows: Sequence[int] | np.ndarray) -> tuple[Thumbnail, ...]:
    predictions = evaluation.predictions
    if "image_path" not in predictions.facts:
        return ()
    found: list[Thumbnail] = []
    for i in rows:
        path = Path(str(predictions.facts["image_path"].iat[int(i)]))
        true, predicted = (predictions.classes[one[i]] for one in (predictions.true, predictions.predicted))
        caption = (
            f"{true} taken for {predicted} ({predictions.probabilities[i].max():.2f}), "
            f"{predictions.image_id[i]}"
        )
        try:
            found.append(thumbnail(path, f"Image {predictions.image_id[i]}: {caption}", caption))
        except OSError:
            # The predictions outlive the images that they were made from.
            continue
        if len(found) == GALLERY:
            break
    return tuple(found)
