"""The report of an explanation: one self-contained HTML page, Markdown, JSON and PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo import __version__
from skinzoo.explain.agreement import SHARE, Agreement
from skinzoo.explain.choices import SIGNED
from skinzoo.explain.found import Explanation
from skinzoo.explain.pictures import gradient, head_panels, panels_of, save_case, tile
from skinzoo.explain.sanity import Sanity
from skinzoo.explain.scoring import CENTRE, THRESHOLDS, UNIFORM
from skinzoo.explain.source import IMAGES
from skinzoo.explain.tables import REFERENCES, agreement_grids, sanity_findings, sanity_grids, title_of
from skinzoo.files import write_json, write_text
from skinzoo.pages import Grid, Plot, render_page
from skinzoo.pages.drawing import LINE, MUTED, PALETTE, plot
from skinzoo.pages.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HTML, MARKDOWN, JSON, FIGURES = "report.html", "report.md", "report.json", "figures"
GIVEN = "given images"
_AGREEMENT_TEXT = (
    "How far the maps lie on the lesion, over all images with a mask. The uniform map has the same value "
    "everywhere and the centred one falls off from the middle of the image: neither has seen anything. "
    "A map that does not beat the centred one says no more than that lesions are in the middle."
)
_SANITY_TEXT = (
    "A map that explains the model changes when the model's layers become random (Adebayo et al. 2018, Young "
    "et al. 2019). Layers become random from the output to the input, each step on top of the ones "
    "before. 1 is the map of the trained model. An attention map cannot depend on layers behind it."
)


def write_report(explanation: Explanation, folder: Path) -> Path:
    """Write the report as HTML, Markdown and JSON, and the drawn cases as PNG.

    Args:
        explanation: What was found.
        folder: Folder for the files, made where it does not exist.

    Returns:
        The HTML file, which needs nothing beside it.
    """
    write_text(folder / HTML, render_html(explanation))
    write_json(folder / JSON, explanation.to_dict())
    figures = [path for case in explanation.cases for path in save_case(case, folder / FIGURES)]
    write_text(folder / MARKDOWN, _markdown(explanation, figures))
    return folder / HTML


def render_html(explanation: Explanation) -> str:
    """Return the report as one HTML page that needs nothing beside it."""
    agreement, sanity = explanation.agreement, explanation.sanity
    signed = any(name in SIGNED for name in explanation.choices.methods)
    legends = [("Maps: from the least to the greatest value of each", gradient(signed=False))]
    if signed:
        legends.append(
            (
                "Covering: against the class, no matter, for the class, in points of probability",
                gradient(signed=True),
            )
        )
    return render_page(
        "skinzoo.explain",
        "explanation.html.j2",
        run=explanation.run,
        source=GIVEN if explanation.source == IMAGES else explanation.source,
        notes=explanation.notes,
        tiles=_tiles(explanation),
        cases=[
            {
                "name": case.image_id,
                "caption": case.caption,
                "maps": [tile(panel, case) for panel in panels_of(case)],
                "heads": [tile(panel, case) for panel in head_panels(case)],
            }
            for case in explanation.cases
        ],
        legends=legends,
        agreement_text=_AGREEMENT_TEXT,
        agreement_grids=agreement_grids(agreement) if agreement else [],
        agreement_plots=[_iou_plot(agreement)] if agreement else [],
        sanity_text=_SANITY_TEXT,
        findings=sanity_findings(sanity) if sanity else [],
        sanity_grids=sanity_grids(sanity) if sanity else [],
        sanity_plots=[_cascade_plot(sanity)] if sanity else [],
        facts=Grid("What was explained", ["property", "value"], [list(x) for x in explanation.facts.items()]),
        version=__version__,
    )


def _tiles(explanation: Explanation) -> list[tuple[str, str]]:
    if explanation.agreement is None:
        return []
    return [
        (f"{title_of(name)}, share inside the lesion", f"{value:.1%}")
        for name, one in explanation.agreement.methods.items()
        if (value := one.scores[SHARE].value) is not None
    ]


def _iou_plot(agreement: Agreement) -> Plot:
    def draw(axes: Axes) -> None:
        for i, (name, one) in enumerate(agreement.methods.items()):
            reference = name in REFERENCES
            axes.plot(
                THRESHOLDS,
                one.iou,
                color=MUTED if reference else PALETTE[i % len(PALETTE)],
                linestyle={UNIFORM: ":", CENTRE: "--"}.get(name, "-"),
                label=title_of(name),
            )
        axes.set_xlabel("Threshold of the stretched map")
        axes.set_ylabel("Mean IoU with the lesion")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.grid(True, color=LINE)
        axes.tick_params(length=0)
        axes.legend(frameon=False, fontsize=8.5)

    words = ", ".join(
        f"{title_of(name)} {max(one.iou):.3f} at {one.threshold:.2f}"
        for name, one in agreement.methods.items()
    )
    return plot("IoU at each threshold", draw, alt=f"Mean IoU by threshold. Best: {words}.", height=3.2)


def _cascade_plot(sanity: Sanity) -> Plot:
    def draw(axes: Axes) -> None:
        places = range(len(sanity.cascade))
        for i, name in enumerate(sanity.repeated):
            values = [step.spearman[name] for step in sanity.cascade]
            known = [float("nan") if v is None else v for v in values]
            axes.plot(places, known, color=PALETTE[i], marker="o", markersize=3.5, label=title_of(name))
            likeness = [step.ssim[name] for step in sanity.cascade]
            axes.plot(places, likeness, color=PALETTE[i], linestyle=":")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_xticks(list(places), [step.name for step in sanity.cascade], rotation=40, ha="right")
        axes.set_ylabel("Similarity to the trained model's map")
        axes.yaxis.grid(True, color=LINE)
        axes.tick_params(length=0)
        axes.legend(frameon=False, fontsize=8.5)

    last = sanity.cascade[-1]
    words = ", ".join(
        f"{title_of(name)} {'undefined' if value is None else f'{value:.2f}'}"
        for name, value in last.spearman.items()
    )
    return plot(
        "Similarity while layers become random",
        draw,
        alt=f"Rank correlation and structural similarity by step. Rank correlation at the end: {words}.",
        note="Solid: rank correlation. Dotted: structural similarity.",
        height=3.8,
    )


def _markdown(explanation: Explanation, figures: list[Path]) -> str:
    lines = [f"# {escaped(explanation.run)}: explanations", ""]
    lines += [f"- {escaped(note)}" for note in explanation.notes]
    if explanation.agreement is not None:
        lines += ["", "## Agreement with lesion masks", "", _AGREEMENT_TEXT, ""]
        for grid in agreement_grids(explanation.agreement):
            lines += _titled(grid)
    if explanation.sanity is not None:
        lines += ["", "## Sanity checks", "", _SANITY_TEXT, ""]
        lines += [f"- {escaped(sentence)}" for sentence in sanity_findings(explanation.sanity)] + [""]
        for grid in sanity_grids(explanation.sanity):
            lines += _titled(grid)
    lines += ["", "## Images", ""]
    for path in figures:
        lines += [f"![{escaped(path.stem)}]({FIGURES}/{path.name})", ""]
    facts = Grid("What was explained", ["property", "value"], [list(x) for x in explanation.facts.items()])
    lines += _titled(facts)
    lines += [f"Made by skinzoo {__version__}. For research and education, not for diagnosis."]
    return "\n".join(lines) + "\n"


def _titled(grid: Grid) -> list[str]:
    note = f" {escaped(grid.note)}" if grid.note else ""
    return [f"**{escaped(grid.title)}.**{note}", "", *markdown_table(grid), ""]
