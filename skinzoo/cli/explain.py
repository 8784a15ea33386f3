"""`skinzoo explain`: where a run looks, and whether that is the lesion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import names_of, one_of_these
from skinzoo.errors import UsageError
from skinzoo.specs import DatasetSpec

if TYPE_CHECKING:
    from skinzoo.explain.agreement import Agreement
    from skinzoo.explain.found import Explanation
    from skinzoo.explain.sanity import Sanity
    from skinzoo.explain.source import Source
    from skinzoo.runs import Run

_PARTS = ("train", "validation", "test", "all")
_METHODS = "attention,heads,gradcam,gradcam++,occlusion"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    run: Annotated[str, typer.Argument(help="A run: path, name, unique prefix or latest.")],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE]...", help="Image files; without: cases of a part.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Part of the run's split, or all; test by default.", autocompletion=one_of_these(*_PARTS)
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where the run's data lie now.")] = None,
    external: Annotated[
        str | None, typer.Option(metavar="PATH", help="Explain cases of other data instead.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Which dataset --external is.", autocompletion=names_of(DatasetSpec.kind)),
    ] = None,
    age: Annotated[float | None, typer.Option(help="Age in years, for IMAGE.")] = None,
    sex: Annotated[str | None, typer.Option(help="Sex, for IMAGE.")] = None,
    localization: Annotated[str | None, typer.Option(help="Localization, for IMAGE.")] = None,
    target: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Class to explain; the predicted one else.")
    ] = None,
    methods: Annotated[
        str, typer.Option(metavar="A,B,...", help="What to draw; shap can be added, and is slow.")
    ] = _METHODS,
    superpixels: Annotated[
        str, typer.Option(metavar="grid|slic", help="What occlusion and shap cover.")
    ] = "grid",
    segments: Annotated[int, typer.Option(help="About how many superpixels.")] = 49,
    shap_samples: Annotated[int, typer.Option(help="Coverings that shap tries for an image.")] = 500,
    cases: Annotated[int | None, typer.Option(metavar="N", help="Cases of a part to draw; 12.")] = None,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Lesion masks: measure the agreement over all cases."),
    ] = None,
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Check that maps depend on the model's weights.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="With --sanity: another training, whose maps are compared."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the report; the run's explanation/ folder else."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw where a run looks: its attention and each head, Grad-CAM, Grad-CAM++, occlusion, Kernel SHAP.

    With --masks the share of each map inside the lesion, the pointing game and IoU over all cases, beside
    maps that have seen nothing. With --sanity what becomes of the maps when the weights become random.
    """
    if against is not None and not sanity:
        raise UsageError("--against must come with --sanity. Received: --against alone.")
    _check(images, part, data, external, dataset, age, sex, localization, cases)
    from skinzoo.runs import load_run

    # What can be wrong without Keras is said without waiting for it.
    loaded = load_run(run)
    other = load_run(against) if against is not None else None
    from skinzoo.cli.quiet import import_keras

    import_keras()
    from skinzoo.explain.choices import Choices
    from skinzoo.explain.of_run import explain as service
    from skinzoo.explain.report import write_report

    choices = Choices(
        methods=tuple(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip())),
        target=target,
        superpixels=superpixels,
        segments=segments,
        shap_samples=shap_samples,
        sanity=sanity,
        draws=draws,
        seed=seed,
    )
    source = _source(loaded, images, part, data, external, dataset, age, sex, localization)
    with render.counted("Explaining") as progress:
        found = service(
            loaded, source, choices, masks=masks, pictured=cases, against=other, progress=progress
        )
    report = write_report(found, to or loaded.path / "explanation" / source.name)
    if as_json:
        render.json_document(found.to_dict())
    else:
        _print(found, report)


def _check(
    images: list[Path] | None,
    part: str | None,
    data: str | None,
    external: str | None,
    dataset: str | None,
    age: float | None,
    sex: str | None,
    localization: str | None,
    cases: int | None,
) -> None:
    of_data = {
        "--part": part, "--data": data, "--external": external, "--dataset": dataset, "--cases": cases
    }  # fmt: skip
    of_images = {"--age": age, "--sex": sex, "--localization": localization}
    for name, value in (of_data if images else of_images).items():
        if value is not None:
            raise UsageError(
                f"{name} must come {'without' if images else 'with'} IMAGE. "
                f"Received: {f'{len(images)} images' if images else 'no image'}.",
                hint="Metadata of cases come from their data." if not images else None,
            )
    if external is not None and (data is not None or part is not None):
        raise UsageError("--external must come without --data and --part. Received: both.")
    if dataset is not None and external is None:
        raise UsageError("--dataset must come with --external. Received: --dataset alone.")


def _source(
    run: Run,
    images: list[Path] | None,
    part: str | None,
    data: str | None,
    external: str | None,
    dataset: str | None,
    age: float | None,
    sex: str | None,
    localization: str | None,
) -> Source:
    from skinzoo.explain.source import dataset_source, images_source, part_source

    if images:
        return images_source(run, images, age=age, sex=sex or "", localization=localization or "")
    if external is not None:
        return dataset_source(external, dataset=dataset)
    return part_source(run, part or "test", data=data)


def _print(found: Explanation, report: Path) -> None:
    render.heading(f"{found.run}: {render.number_of(len(found.cases), 'image')} explained")
    render.table(
        ["image", "true", "predicted", "probability", "explained", "its probability"],
        [
            [
                case.image_id,
                case.label or "-",
                case.predicted,
                f"{case.probability:.2f}",
                case.target,
                f"{case.target_probability:.2f}",
            ]
            for case in found.cases
        ],
        right=["probability", "its probability"],
    )
    if found.agreement is not None:
        _print_agreement(found.agreement)
    if found.sanity is not None:
        _print_sanity(found.sanity)
    render.line()
    for note in found.notes:
        render.notice(note)
    render.line(f"Report: {report}")


def _print_agreement(agreement: Agreement) -> None:
    from skinzoo.explain.agreement import IOU, POINTING, SCORES, SHARE
    from skinzoo.explain.tables import title_of, with_interval

    shown = (SHARE, POINTING, IOU)
    render.line()
    render.heading(
        f"Agreement with {render.number_of(agreement.images, 'lesion mask')}, 95% over {agreement.unit}s"
    )
    render.table(
        ["map", "inside the lesion", *(SCORES[name] for name in shown[1:])],
        [
            [
                title_of(name),
                *(with_interval(one.scores[s].value, one.scores[s].interval, digits=2) for s in shown),
            ]
            for name, one in agreement.methods.items()
        ],
    )


def _print_sanity(sanity: Sanity) -> None:
    from skinzoo.explain.tables import rounded, sanity_findings, title_of

    methods = list(sanity.repeated)
    render.line()
    render.heading(f"Rank correlation with the trained model's maps, {sanity.images} images")
    render.table(
        ["random from the output to", *map(title_of, methods), "probability"],
        [
            [
                step.name if i else "nothing (trained)",
                *(rounded(step.spearman[m]) for m in methods),
                f"{step.probability:.2f}",
            ]
            for i, step in enumerate(sanity.cascade)
        ],
        right=[*map(title_of, methods), "probability"],
    )
    render.line()
    for sentence in sanity_findings(sanity):
        render.paragraph(sentence)
    worst = max(sanity.repeated.values())
    render.paragraph(f"Computed twice, maps differ by at most {worst:.1e} of their greatest value.")
