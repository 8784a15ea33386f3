"""Explaining what a run says of given images, or of cases of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.errors import SkinzooError, UsageError, one_of
from skinzoo.explain.agreement import Agreement, AgreementCounter
from skinzoo.explain.choices import SIGNED, Choices
from skinzoo.explain.covering import OCCLUSION, SHAP, kernel_shap, occlusion
from skinzoo.explain.found import Explained, Explanation
from skinzoo.explain.maps import ATTENTION, GRADCAM, GRADCAM_PLUS, HEADS, IMAGE, MapMaker, Maps
from skinzoo.explain.masks import find_masks, mask_of
from skinzoo.explain.sanity import Sanity, check_sanity
from skinzoo.explain.scoring import ImageScores
from skinzoo.explain.source import Source, chosen_rows
from skinzoo.explain.superpixels import GRID, superpixels
from skinzoo.registry import registry
from skinzoo.specs import AttentionSpec

if TYPE_CHECKING:
    import pandas as pd

    from skinzoo.runs import Run

PICTURED = 12
"""Cases of a part that are drawn."""
CHECKED = 16
"""Drawn cases that the sanity checks take."""
MEASURED = (ATTENTION, GRADCAM, GRADCAM_PLUS)
"""Methods whose maps can be laid on masks."""
BATCH_SIZE = 32


def explain(
    run: Run,
    source: Source,
    choices: Choices | None = None,
    *,
    masks: Path | None = None,
    pictured: int | None = None,
    against: Run | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Draw maps of cases and, where asked for, measure them.

    Args:
        run: The run.
        source: The cases.
        choices: What is drawn and measured.
        masks: Folder of lesion masks; with it all cases are measured, not only the drawn ones.
        pictured: Number of cases to draw, classes in turn; all of given images and 12 of a part unless given.
        against: Another training of the same variant, whose maps the sanity checks lay beside.
        progress: Called with the numbers of passes of the model done and of all, and then, with sanity
            checks, with the numbers of their steps.

    Raises:
        DataError: An image or a mask cannot be used, or no image has a mask.
        ModelError: The run's model was not built by skinzoo.
        UsageError: The model has no such class, no method can be laid on masks, or the other run is not one
            of the same variant.
    """
    choices = choices or Choices()
    if against is not None:
        _check_other(run, against)
    if masks is not None and not set(choices.methods) & set(MEASURED):
        raise UsageError(
            f"`methods` must hold one of {', '.join(MEASURED)} to be measured against masks. Received: "
            f"{', '.join(choices.methods)}."
        )
    target = _class_index(run, choices.target)
    files = find_masks(masks) if masks is not None else None
    counter = AgreementCounter(draws=choices.draws, seed=choices.seed)
    table = source.table.reset_index(drop=True)
    drawn = set(chosen_rows(table, pictured if pictured is not None else PICTURED))
    if not source.dataset and pictured is None:
        drawn = set(range(len(table)))
    todo = list(range(len(table))) if files is not None else sorted(drawn)
    maker = MapMaker(run.model)
    work, done = _work(todo, drawn, choices), 0
    total = sum(work.values())
    cases: list[Explained] = []
    kept: list[dict[str, np.ndarray]] = []
    flat = True
    for rows in _batches(todo):
        part = table.iloc[rows]
        inputs = run.inputs(part)
        maps = maker(inputs, target)
        flat = flat and bool(np.allclose(np.ptp(maps.attention, axis=(1, 2)), 0.0, atol=1e-7))
        for place, row in enumerate(rows):
            record = {str(name): value for name, value in part.iloc[place].items()}
            one = {name: map[place] for name, map in maps.named().items() if name in choices.methods}
            mask, scores = None, None
            if files is not None:
                mask = mask_of(files, record["image_id"], Path(record["image_path"]), run.decoding)
                scores = counter.add(one, mask, lesion=record["lesion_id"], label=record["label"])
            if row in drawn:
                own = {name: value[place : place + 1] for name, value in inputs.items()}
                cases.append(_explained(run, record, own, maps, place, choices, mask, scores or {}))
                kept.append(own)
            done += work[row]
            if progress is not None:
                progress(done, total)
    agreement = counter.summary() if files is not None else None
    # Cases are drawn in the order of the table.
    other = (against, table.iloc[sorted(drawn)[:CHECKED]]) if against is not None else None
    return Explanation(
        run=run.name,
        facts=_facts(run, source, len(table)),
        source=source.name,
        choices=choices,
        cases=tuple(cases),
        notes=(
            *_notes(run, source, choices, cases, flat, agreement, len(table)),
            *_notes_on_other(run, against),
        ),
        sanity=_sanity(maker, kept, cases, choices, run, other, progress) if choices.sanity else None,
        agreement=agreement,
    )


def _explained(
    run: Run,
    record: Mapping[str, Any],
    inputs: Mapping[str, np.ndarray],
    maps: Maps,
    place: int,
    choices: Choices,
    mask: np.ndarray | None,
    scores: Mapping[str, ImageScores],
) -> Explained:
    pixels = inputs[IMAGE][0]
    probabilities, target = maps.probabilities[place], int(maps.targets[place])
    found = {name: map[place] for name, map in maps.named().items() if name in choices.methods}
    if any(name in choices.methods for name in SIGNED):
        pieces = superpixels(pixels, kind=choices.superpixels, segments=choices.segments)
        predict = _predictor(run, inputs)
        if OCCLUSION in choices.methods:
            found[OCCLUSION] = occlusion(predict, pixels, pieces, target)
        if SHAP in choices.methods:
            found[SHAP] = kernel_shap(
                predict, pixels, pieces, target, samples=choices.shap_samples, seed=choices.seed
            )
    predicted = int(probabilities.argmax())
    heads = maps.heads[place] if maps.heads is not None and HEADS in choices.methods else None
    return Explained(
        image_id=str(record["image_id"]),
        pixels=pixels,
        label=str(record["label"]),
        predicted=run.classes[predicted],
        probability=float(probabilities[predicted]),
        target=run.classes[target],
        target_probability=float(probabilities[target]),
        maps=found,
        heads=heads,
        mask=mask,
        scores=scores,
    )


def _predictor(run: Run, inputs: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return probabilities of changed images of one case, its metadata as they are."""

    def predict(images: np.ndarray) -> np.ndarray:
        found = [
            run.model.predict_on_batch(
                {
                    name: images[rows] if name == IMAGE else np.repeat(value, len(rows), axis=0)
                    for name, value in inputs.items()
                }
            )
            for rows in _batches(range(len(images)))
        ]
        return np.concatenate(found)

    return predict


def _sanity(
    maker: MapMaker,
    kept: Sequence[Mapping[str, np.ndarray]],
    cases: Sequence[Explained],
    choices: Choices,
    run: Run,
    other: tuple[Run, pd.DataFrame] | None,
    progress: Callable[[int, int], None] | None,
) -> Sanity:
    some = kept[:CHECKED]
    inputs = {name: np.concatenate([one[name] for one in some]) for name in some[0]}
    targets = np.array([run.classes.index(case.target) for case in cases[:CHECKED]], np.int32)
    against = None
    if other is not None:
        second, rows = other
        against = second.name, MapMaker(second.model)(second.inputs(rows), targets)
    return check_sanity(maker, inputs, targets, seed=choices.seed, against=against, progress=progress)


def _check_other(run: Run, other: Run) -> None:
    if other.path.resolve() == run.path.resolve():
        raise UsageError(f"`against` must be another run. Received: '{run.name}' itself.")
    ours, theirs = (
        one.folder.resolved().get("variant", {}) | {"classes": list(one.classes)} for one in (run, other)
    )
    different = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    if different:
        raise UsageError(
            f"`against` must be another training of the same variant. Received: '{other.name}', which has "
            f"another {', another '.join(different)} than '{run.name}'.",
            hint="Train the variant again with another seed.",
        )


def _facts(run: Run, source: Source, images: int) -> dict[str, str]:
    config = run.folder.config()
    variant = run.folder.resolved().get("variant", {})
    facts = {
        "run": run.name,
        "variant": config.model.variant,
        "attention": str(variant.get("attention", "not stated")),
        "recipe": config.recipe,
        "recipe hash": config.recipe_hash,
        "explained": source.name,
        "images": f"{images:,}",
    }
    if source.dataset:
        facts["dataset"] = source.dataset
    if source.split is not None:
        facts["protocol"] = source.split.protocol
        facts["split hash"] = source.split.hash
    return facts


def _notes(
    run: Run,
    source: Source,
    choices: Choices,
    cases: Sequence[Explained],
    flat: bool,
    agreement: Agreement | None,
    images: int,
) -> Iterator[str]:
    yield from source.notes
    if choices.target is not None:
        yield f"Explained is {choices.target}, whatever the model predicts."
    if len(cases) < images:
        yield f"Drawn are {len(cases):,} of {images:,} images, the classes in turn."
    if ATTENTION in choices.methods and flat:
        yield "The attention map is the same everywhere: this model's attention tells no places apart."
    elif ATTENTION in choices.methods and (spec := _attention_spec(run)) is not None and not spec.spatial:
        yield "The attention learned nothing about places; its map is what it is said to show. " + " ".join(
            spec.notes
        )
    if HEADS in choices.methods and cases and cases[0].heads is None:
        yield "The attention tells no heads apart, so only its one map is drawn."
    if any(name in choices.methods for name in SIGNED):
        how = "equal squares" if choices.superpixels == GRID else "SLIC superpixels"
        yield f"Pieces are {how}, covered by the image's mean colour; metadata stay as they are."
    if agreement is not None:
        yield from agreement.notes()


def _notes_on_other(run: Run, other: Run | None) -> Iterator[str]:
    if other is not None and run.card.get("split") != other.card.get("split"):
        yield f"{other.name} was trained on another split, and so perhaps on some of these images."


def _attention_spec(run: Run) -> AttentionSpec | None:
    name = run.folder.resolved().get("variant", {}).get("attention")
    try:
        return registry().get(AttentionSpec, name) if name else None
    except SkinzooError:
        return None


def _class_index(run: Run, name: str | None) -> int | None:
    if name is None:
        return None
    if name not in run.classes:
        raise one_of("class", name, run.classes)
    return run.classes.index(name)


def _work(todo: Sequence[int], drawn: set[int], choices: Choices) -> dict[int, int]:
    """Return about how many passes of the model each row takes, for the progress bar."""
    passes = 1
    passes += choices.segments if OCCLUSION in choices.methods else 0
    passes += choices.shap_samples if SHAP in choices.methods else 0
    return {row: passes if row in drawn else 1 for row in todo}


def _batches(rows: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(rows), BATCH_SIZE):
        yield list(rows[start : start + BATCH_SIZE])
