"""Explaining what a run says of given images, or of cases of its data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.data.read import read_dataset
from skinzoo.data.splits import Split
from skinzoo.errors import DataError, SkinzooError, UsageError, one_of
from skinzoo.evaluation.intervals import DRAWS
from skinzoo.explain.agreement import Agreement, AgreementCounter, ImageScores
from skinzoo.explain.covering import OCCLUSION, SAMPLES, SHAP, kernel_shap, load_shap, occlusion
from skinzoo.explain.maps import ATTENTION, GRADCAM, GRADCAM_PLUS, HEADS, IMAGE, MapMaker, Maps
from skinzoo.explain.masks import find_masks, mask_of
from skinzoo.explain.sanity import Sanity, check_sanity
from skinzoo.explain.superpixels import GRID, KINDS, SEGMENTS, superpixels
from skinzoo.registry import registry
from skinzoo.specs import AttentionSpec
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE
from skinzoo.vocabulary import OUT_OF_VOCABULARY

if TYPE_CHECKING:
    from skinzoo.runs import Run

METHODS = (ATTENTION, HEADS, GRADCAM, GRADCAM_PLUS, OCCLUSION, SHAP)
DEFAULT_METHODS = (ATTENTION, HEADS, GRADCAM, GRADCAM_PLUS, OCCLUSION)
SIGNED = (OCCLUSION, SHAP)
"""Methods whose maps have a sign and a unit."""
ALL_PARTS, IMAGES = "all", "images"
PICTURED = 12
"""Cases of a part that are drawn."""
CHECKED = 16
"""Drawn cases that the sanity checks take."""
BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What is drawn and measured.

    Args:
        methods: Some of `METHODS`.
        target: Name of the class to explain; each image's predicted class unless given.
        superpixels: How images are divided for covering: `grid` or `slic`.
        segments: About how many superpixels.
        shap_samples: Coverings that Kernel SHAP tries.
        sanity: Whether to put the maps to the sanity checks.
        draws: Bootstrap draws of the agreement with masks.
        seed: Seed of all that is drawn at random.

    Raises:
        UsageError: There is no such method or kind of superpixels.
        MissingExtraError: A choice needs a package that is not installed.
    """

    methods: tuple[str, ...] = DEFAULT_METHODS
    target: str | None = None
    superpixels: str = GRID
    segments: int = SEGMENTS
    shap_samples: int = SAMPLES
    sanity: bool = False
    draws: int = DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise one_of("methods", name, METHODS)
        if not self.methods:
            raise UsageError(f"`methods` must be some of {', '.join(METHODS)}. Received: none.")
        if self.superpixels not in KINDS:
            raise one_of("superpixels", self.superpixels, KINDS)
        # Here rather than after minutes of work.
        superpixels(np.zeros((16, 16, 3), np.uint8), kind=self.superpixels, segments=self.segments)
        if SHAP in self.methods:
            load_shap()


@dataclass(frozen=True)
class Source:
    """The cases to explain and where they come from.

    Args:
        table: `image_path`, `image_id`, `age`, `sex`, `localization`, `label` and `lesion_id`; the last two
            empty where unknown.
        name: What they are, for headings and folder names.
        dataset: Name of the dataset; empty for given images.
        split: The run's split, for cases of its own data.
        notes: What a reader should know of them.
    """

    table: pd.DataFrame
    name: str
    dataset: str = ""
    split: Split | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """One image with its maps.

    Args:
        image_id: Its id.
        pixels: uint8 RGB `(s, s, 3)`, as the model sees it.
        label: True class; empty where unknown.
        predicted: Predicted class.
        probability: Probability of the predicted class.
        target: The class that is explained.
        target_probability: Its probability.
        maps: Map `(h, w)` by method; those of `SIGNED` methods in points of probability.
        heads: `(h, w, heads)`; None where they are not known or not asked for.
        mask: Lesion mask, bool `(s, s)`; None where there is none.
        scores: Agreement of each map with the mask; empty without one.
    """

    image_id: str
    pixels: np.ndarray
    label: str
    predicted: str
    probability: float
    target: str
    target_probability: float
    maps: Mapping[str, np.ndarray]
    heads: np.ndarray | None = None
    mask: np.ndarray | None = None
    scores: Mapping[str, ImageScores] = field(default_factory=dict)

    @property
    def caption(self) -> str:
        """What the model says of it, in one line."""
        words = f"predicted {self.predicted} {self.probability:.2f}"
        if self.label:
            words += f", true {self.label}"
        if self.target != self.predicted:
            words += f"; explained: {self.target} {self.target_probability:.2f}"
        return words

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without maps."""
        return {
            "image_id": self.image_id,
            "true": self.label or None,
            "predicted": self.predicted,
            "probability": self.probability,
            "explained": self.target,
            "explained_probability": self.target_probability,
            "heads": 0 if self.heads is None else int(self.heads.shape[-1]),
            "agreement": {
                name: {
                    "share": None if np.isnan(one.share) else one.share,
                    "pointing": None if np.isnan(one.pointing) else one.pointing,
                    "best_iou": float(one.iou.max()),
                }
                for name, one in self.scores.items()
            },
        }


@dataclass(frozen=True)
class Explanation:
    """All that was found.

    Args:
        run: Name of the run.
        facts: Names and values of where everything comes from.
        source: What was explained.
        choices: What was asked for.
        cases: The drawn cases.
        notes: What a reader should know.
        sanity: The sanity checks, where asked for.
        agreement: Agreement with lesion masks, where given.
    """

    run: str
    facts: Mapping[str, str]
    source: str
    choices: Choices
    cases: tuple[Explained, ...]
    notes: tuple[str, ...]
    sanity: Sanity | None = None
    agreement: Agreement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.run,
            "facts": dict(self.facts),
            "source": self.source,
            "choices": dataclasses.asdict(self.choices) | {"methods": list(self.choices.methods)},
            "notes": list(self.notes),
            "cases": [case.to_dict() for case in self.cases],
            "sanity": self.sanity.to_dict() if self.sanity else None,
            "agreement": self.agreement.to_dict() if self.agreement else None,
        }


def images_source(
    run: Run, paths: Sequence[Path], *, age: float | None = None, sex: str = "", localization: str = ""
) -> Source:
    """Return given image files as cases.

    Args:
        run: The run.
        paths: The files.
        age: Age in years of all of them; unknown unless given.
        sex: Sex; unknown where empty.
        localization: Localization; unknown where empty.

    Raises:
        UsageError: `sex` or `localization` is none of the model's terms.
    """
    for vocabulary, value in ((run.vocabularies.sex, sex), (run.vocabularies.localization, localization)):
        if vocabulary.indices([value])[0] == OUT_OF_VOCABULARY:
            raise one_of(vocabulary.name, value, vocabulary.terms)
    names = [path.stem for path in paths]
    # Two folders may hold files of one name.
    ids = [
        f"{name}-{names[:i].count(name) + 1}" if name in names[:i] else name for i, name in enumerate(names)
    ]
    table = pd.DataFrame({"image_path": [str(path) for path in paths], "image_id": ids})
    return Source(
        table.assign(age=age, sex=sex, localization=localization, label="", lesion_id=""), name=IMAGES
    )


def part_source(run: Run, part: str = "test", *, data: str | None = None) -> Source:
    """Return the cases of a part of a run's split.

    Args:
        run: The run.
        part: `train`, `validation`, `test` or `all`.
        data: Where the data lie now; where they were at training unless given.

    Raises:
        DataError: The data are not those of the split, or the part is empty.
        UsageError: There is no such part.
    """
    config = run.folder.config()
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
    cases = read_cases(config, Split.load(run.path / SPLIT_FILE))
    table = cases.table if part == ALL_PARTS else cases.part(part)
    found = part if part == ALL_PARTS else cases.split.resolve(part)
    if table.empty:
        raise DataError(
            f"The {part} part of run '{run.name}' must hold cases. Received: none.",
            hint="Choose another --part, or explain given images.",
        )
    notes = []
    if found in ("train", ALL_PARTS):
        notes.append("The model was trained on these images, or on some of them.")
    return Source(_with_lesions(table), found, cases.split.dataset, cases.split, tuple(notes))


def dataset_source(path: str, *, dataset: str | None = None) -> Source:
    """Return all cases of other data than the run's.

    Args:
        path: Folder or file of the data.
        dataset: Which dataset it is; recognised unless given.

    Raises:
        DataError: The data cannot be read.
    """
    table = read_dataset(Path(path), dataset)
    name = str(table.attrs["dataset"])
    return Source(_with_lesions(table), f"external-{name}", name, notes=tuple(table.attrs["notes"]))


def explain(
    run: Run,
    source: Source,
    choices: Choices | None = None,
    *,
    masks: Path | None = None,
    pictured: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Draw maps of cases and, where asked for, measure them.

    Args:
        run: The run.
        source: The cases.
        choices: What is drawn and measured.
        masks: Folder of lesion masks; with it all cases are measured, not only the drawn ones.
        pictured: Number of cases to draw, classes in turn; all of given images and 12 of a part unless given.
        progress: Called with the numbers of cases done and of all cases.

    Raises:
        DataError: An image or a mask cannot be used, or no image has a mask.
        ModelError: The run's model was not built by skinzoo.
        UsageError: The model has no such class.
    """
    choices = choices or Choices()
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
            one = {name: map[place] for name, map in maps.named().items()}
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
                progress(done, sum(work.values()))
    agreement = counter.summary() if files is not None else None
    return Explanation(
        run=run.name,
        facts=_facts(run, source, len(table)),
        source=source.name,
        choices=choices,
        cases=tuple(cases),
        notes=tuple(_notes(run, source, choices, cases, flat, agreement, len(table))),
        sanity=_sanity(maker, kept, cases, choices, run) if choices.sanity else None,
        agreement=agreement,
    )


def chosen_rows(table: pd.DataFrame, number: int) -> list[int]:
    """Return positions of cases to draw: the first of each class, then the second, and so on.

    Raises:
        UsageError: `number` is below 1.
    """
    if number < 1:
        raise UsageError(f"`pictured` must be at least 1. Received: {number}.")
    turn = table.groupby("label", sort=False).cumcount()
    order = pd.DataFrame({"turn": turn, "label": table["label"]}).sort_values(
        ["turn", "label"], kind="stable"
    )
    return sorted(int(i) for i in order.index[:number])


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
) -> Sanity:
    some = kept[:CHECKED]
    inputs = {name: np.concatenate([one[name] for one in some]) for name in some[0]}
    targets = np.array([run.classes.index(case.target) for case in cases[:CHECKED]], np.int32)
    return check_sanity(maker, inputs, targets, seed=choices.seed)


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


def _with_lesions(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    if "lesion_id" not in table:
        return table.assign(lesion_id="")
    return table.assign(lesion_id=table["lesion_id"].fillna("").astype(str))


def _work(todo: Sequence[int], drawn: set[int], choices: Choices) -> dict[int, int]:
    """Return about how many passes of the model each row takes, for the progress bar."""
    passes = 1
    passes += choices.segments if OCCLUSION in choices.methods else 0
    passes += choices.shap_samples if SHAP in choices.methods else 0
    return {row: passes if row in drawn else 1 for row in todo}


def _batches(rows: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(rows), BATCH_SIZE):
        yield list(rows[start : start + BATCH_SIZE])
