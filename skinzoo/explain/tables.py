"""Agreement with masks and sanity checks as tables and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from skinzoo.evaluation.report import with_interval
from skinzoo.explain.agreement import SCORES, Agreement
from skinzoo.explain.pictures import TITLES
from skinzoo.explain.sanity import DEPENDENT, Sanity, Step
from skinzoo.explain.scoring import CENTRE, UNIFORM
from skinzoo.pages import Grid

REFERENCES = {UNIFORM: "uniform map", CENTRE: "centred map"}


def title_of(method: str) -> str:
    """Return what a method or reference map is called."""
    return TITLES.get(method) or REFERENCES.get(method, method)


def rounded(value: float | None) -> str:
    """Return a similarity with two digits; `-` where it is undefined, and no minus before a zero."""
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"


def agreement_grids(agreement: Agreement) -> list[Grid]:
    """Return the tables of the agreement with lesion masks."""
    methods = agreement.methods
    rows = [
        [
            SCORES[key],
            *(with_interval(one.scores[key].value, one.scores[key].interval) for one in methods.values()),
        ]
        for key in SCORES
    ]
    rows.append(["the one threshold", *(f"{one.threshold:.2f}" for one in methods.values())])
    images = f"{agreement.images:,} image" + ("s" if agreement.images != 1 else "")
    grids = [
        Grid(
            "Agreement with lesion masks",
            ["score", *map(title_of, methods)],
            rows,
            f"{images}; brackets: {agreement.level:.0%} intervals over {agreement.unit}s. Thresholds are of "
            "the map stretched to 0..1; the best ones are chosen on these very images.",
        )
    ]
    if len(agreement.labels) > 1:
        grids.append(
            Grid(
                "Share inside the lesion, by true class",
                ["map", *agreement.labels],
                [
                    ["images", *(f"{number:,}" for number in agreement.labels.values())],
                    *(
                        [
                            title_of(name),
                            *("-" if v is None else f"{v:.3f}" for v in one.by_label.values()),
                        ]
                        for name, one in methods.items()
                    ),
                ],
            )
        )
    return grids


def sanity_grids(sanity: Sanity) -> list[Grid]:
    """Return the tables of the sanity checks."""
    methods = list(sanity.repeated)
    steps = [*sanity.cascade, sanity.mirrored, sanity.noisy]
    names = ["nothing (trained)", *(f"to {step.name}" for step in sanity.cascade[1:])]
    names += ["nothing; images mirrored", "nothing; a little noise"]
    if sanity.against is not None:
        steps.append(sanity.against)
        names.append(f"another training: {sanity.against.name}")

    def rows(measure: Callable[[Step], Mapping[str, float | None]]) -> list[list[str]]:
        return [
            [
                name,
                *(rounded(measure(step)[m]) for m in methods),
                f"{step.probability:.2f}",
            ]
            for name, step in zip(names, steps, strict=True)
        ]

    columns = ["made random", *map(title_of, methods), "probability"]
    repeated = ", ".join(f"{title_of(m)} {value:.1e}" for m, value in sanity.repeated.items())
    return [
        Grid(
            "Rank correlation with the trained model's maps",
            columns,
            rows(lambda step: step.spearman),
            f"Means over {sanity.images:,} images, and the mean probability of the explained classes. "
            f"Computed twice, the maps differ by at most, in parts of their greatest value: {repeated}.",
        ),
        Grid("Structural similarity to the trained model's maps", columns, rows(lambda step: step.ssim)),
    ]


def sanity_findings(sanity: Sanity) -> list[str]:
    """Return what the sanity checks mean, a sentence or two for each method."""
    found = []
    behind, last = sanity.cascade[sanity.behind], sanity.cascade[-1]
    for name, value in last.spearman.items():
        before = behind.spearman[name]
        if value is None or before is None:
            found.append(f"{title_of(name)}: the same everywhere, so that nothing can be said of it.")
            continue
        verdict = "fails" if name in sanity.independent else "passes"
        sentence = (
            f"{title_of(name)}: {verdict}. With all layers random its ranks agree by {value:.2f} with the "
            f"trained model's; at most {DEPENDENT:g} passes."
        )
        if name in sanity.blind:
            sentence += (
                f" But with only the layers behind the feature map random they agree by {before:.2f}: it "
                "shows where features are strong, and hardly what the classifier makes of them."
            )
        found.append(sentence)
    if sanity.against is not None:
        ranks = ", ".join(f"{title_of(name)} {rounded(v)}" for name, v in sanity.against.spearman.items())
        found.append(
            f"Beside the maps of {sanity.against.name}, another training of the same variant, ranks agree by "
            f"{ranks}: what differs depends on the training, not on the lesion alone."
        )
    return found
