"""From a configuration to cases, split, batches, loss and model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.config import RunConfig
from skinzoo.data.augment import Augmentation
from skinzoo.data.balancing import SYNTHETIC, balance_pixels, training_order
from skinzoo.data.cache import ImageCache, cached_images
from skinzoo.data.decode import Decoding
from skinzoo.data.order import EpochOrder
from skinzoo.data.pipeline import InputPipeline
from skinzoo.data.read import find_dataset, leave_out_unreadable, read_dataset
from skinzoo.data.splits import Split, make_split
from skinzoo.data.table import class_counts, fingerprint
from skinzoo.errors import DataError, ModelError, UsageError
from skinzoo.registry import registry
from skinzoo.specs import Head, LossRequest, LossSpec, Vocabularies
from skinzoo.training.group import ALONE, Group
from skinzoo.training.hardware import Hardware, set_up
from skinzoo.training.order import FixedLength

if TYPE_CHECKING:
    import keras

    from skinzoo.variants import ResolvedVariant

DEFAULT_PROTOCOL = "lesion"


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The cases of a training and how they are divided.

    Args:
        table: Canonical table.
        split: The split.
        vocabularies: Vocabularies of sex and localization.
        differences: Sentences on how the data differ from those that the split was made on.
    """

    table: pd.DataFrame
    split: Split
    vocabularies: Vocabularies
    differences: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs."""
        return tuple(self.table.attrs["classes"])

    def part(self, name: str) -> pd.DataFrame:
        """Return the rows of a part."""
        return self.split.part(self.table, name)

    def training_counts(self) -> tuple[int, ...]:
        """Return the training cases of each class, in class order."""
        counts = class_counts(self.part("train"))
        return tuple(int(counts.get(name, 0)) for name in self.classes)


def read_cases(config: RunConfig, split: Split | None = None) -> Cases:
    """Read the data of a configuration and divide them.

    Args:
        config: The configuration.
        split: A split that was made before, as a resumed run has one.

    Raises:
        DataError: The data or the split cannot be used, the training part is empty, or a class has no
            training case.
    """
    data = config.data
    path = Path(data.path) if data.path else None
    name = data.dataset or None
    table = read_dataset(path, name, data.options, data.skip_bad)
    if data.skip_bad:
        # Before the split is made, so that it, the class weights and every count speak of what is used.
        table = leave_out_unreadable(table)
    differences: list[str] = []
    if split is None and data.split:
        split = Split.load(Path(data.split).expanduser())
    if split is not None:
        differences = split.check(table)
    else:
        split = make_split(
            table,
            data.protocol or DEFAULT_PROTOCOL,
            seed=data.seed,
            options=data.protocol_options,
            merge_duplicates=data.merge_duplicates,
        )
    cases = Cases(
        table=table,
        split=split,
        vocabularies=find_dataset(path, name).vocabularies,
        differences=tuple(differences),
    )
    if tuple(split.classes) != cases.classes:
        raise DataError(
            f"The split must have the classes of the data, {', '.join(cases.classes)}. "
            f"Received: {', '.join(split.classes)}."
        )
    check_training_part(cases)
    return cases


def check_training_part(cases: Cases) -> None:
    """Check that there is something to train on and that each class has a part in it.

    Raises:
        DataError: There is not.
    """
    if cases.part("train").empty:
        raise DataError(
            "The training part must hold cases. Received: none.", hint="Choose another --split or --protocol."
        )
    missing = [n for n, count in zip(cases.classes, cases.training_counts(), strict=True) if not count]
    if missing:
        raise DataError(
            f"Each class must have a case in the training part. Received: none of {', '.join(missing)}.",
            hint="Choose another --split or --protocol, or leave the class out of the data.",
        )
    if cases.part("validation").empty:
        raise DataError(
            "The validation part must hold cases: they choose the best epoch. Received: none.",
            hint="Choose another --split or --protocol.",
        )


def case_notices(cases: Cases, config: RunConfig) -> list[str]:
    """Return what a user should know of the cases before the training begins."""
    notices = [f"Note on the data: {note}" for note in cases.table.attrs.get("notes", ())]
    if left_out := cases.table.attrs.get("left_out"):
        rows = f"{len(left_out):,} rows are" if len(left_out) > 1 else "1 row is"
        notices.append(f"{rows} left out of the data; the first: {left_out[0]['reason']}")
    notices += [f"Note on the split: {difference}" for difference in cases.differences]
    notices += [f"Warning: {warning}" for warning in cases.split.warnings]
    if cases.split.stamps:
        notices.append(f"Warning: this split is stamped {', '.join(cases.split.stamps)}.")
    absent = sorted(set(cases.classes) - set(cases.part("validation")["label"]))
    if absent:
        notices.append(f"The validation part has no case of {', '.join(absent)}; scores leave them out.")
    if config.balance.method != "none" and config.loss.class_weights == "from_counts":
        loss = registry().get(LossSpec, config.loss.name)
        if loss.weighted:
            notices.append(
                f"Class weights come from the counts before balancing by '{config.balance.method}': both act."
            )
    return notices


def part_notices(variant: ResolvedVariant) -> list[str]:
    """Return which of a variant's own parts a recipe or the user has replaced."""
    from skinzoo.variants import resolve_variant

    now, own = variant.describe(), resolve_variant(variant.name).describe()
    replaced = [
        f"{part} {now[part]} ({own[part]})"
        for part in ("cut", "attention", "fusion", "pooling")
        if now[part] != own[part]
    ]
    if not replaced:
        return []
    return [f"Other parts than those of '{variant.name}' (in brackets) are trained: {', '.join(replaced)}."]


def decoding_of(config: RunConfig, image_size: int) -> Decoding:
    """Return how files become pixels."""
    return Decoding(size=image_size, resize=config.data.resize, preprocessing=config.data.preprocessing)


def resolve(config: RunConfig, cases: Cases | None = None) -> ResolvedVariant:
    """Return the variant with every choice made; needs no Keras.

    Args:
        config: The configuration.
        cases: The cases, whose classes and vocabularies count; None to check the choices alone.
    """
    from skinzoo.specs import VariantSpec
    from skinzoo.variants import resolve_variant

    model = config.model
    variant = registry().get(VariantSpec, model.variant)
    head = Head(
        hidden=variant.head.hidden if model.hidden is None else model.hidden,
        dropout=variant.head.dropout if model.dropout is None else model.dropout,
    )
    of_data: dict[str, Any] = {}
    if cases is not None:
        of_data = {"classes": len(cases.classes), "vocabularies": cases.vocabularies}
    return resolve_variant(
        model.variant,
        cut=model.cut,
        attention=model.attention,
        fusion=model.fusion,
        pooling=model.pooling,
        head=head,
        image_size=model.image_size,
        preprocess=model.preprocess,
        bgr=config.data.bgr,
        **of_data,
    )


def build(
    config: RunConfig, variant: ResolvedVariant, cases: Cases
) -> tuple[keras.Model, dict[str, Any], list[str]]:
    """Build the model with its weights and the age statistics of the training part.

    Returns:
        The model, where its weights come from, and notices.

    Raises:
        ModelError: Weights were asked for and cannot be had.
    """
    from skinzoo.model import build_model, metadata_encoder

    wanted = config.model.weights
    notices: list[str] = []
    if wanted == "auto" and not variant.backbone.pretrained:
        wanted = "none"
    if wanted == "auto":
        try:
            model, report = build_model(variant, weights="imagenet")
        except ModelError as error:
            notices.append(f"{error.message} The training begins with random weights.")
            model, report = build_model(variant, weights="none")
    else:
        model, report = build_model(variant, weights=wanted)
    notices += [f"Note on the {report}."] if report.missing or report.mismatched else []
    encoder = metadata_encoder(model)
    if encoder is not None:
        encoder.adapt(cases.part("train")["age"])
    weights = {
        "origin": report.origin,
        "loaded": len(report.loaded),
        "missing": len(report.missing),
        "mismatched": len(report.mismatched),
    }
    return model, weights, notices


def build_loss(config: RunConfig, cases: Cases) -> tuple[keras.losses.Loss, tuple[float, ...] | None]:
    """Build the loss.

    Returns:
        The loss and the class weights in class order, None for an unweighted loss.
    """
    spec = registry().get(LossSpec, config.loss.name)
    return spec.build(_loss_request(config, cases)), class_weights(config, cases)


def class_weights(config: RunConfig, cases: Cases) -> tuple[float, ...] | None:
    """Return the loss's class weights in class order, None for an unweighted loss; needs no Keras.

    Raises:
        UsageError: Weights or options that the loss cannot take.
    """
    spec = registry().get(LossSpec, config.loss.name)
    return spec.tabulate(_loss_request(config, cases)) if spec.tabulate else None


def _loss_request(config: RunConfig, cases: Cases) -> LossRequest:
    return LossRequest(
        class_counts=cases.training_counts(),
        class_names=cases.classes,
        class_weights=weights_in_order(config.loss.class_weights, cases.classes),
        options=config.loss.options,
    )


def weights_in_order(
    given: str | tuple[float, ...] | Mapping[str, Any], classes: tuple[str, ...]
) -> str | tuple[float, ...]:
    """Return weights in class order; those by name must name the classes of the data.

    Raises:
        UsageError: They name other classes, or are no numbers.
    """
    if not isinstance(given, Mapping):
        return given
    if set(given) != set(classes):
        raise UsageError(
            f"`loss.class_weights` must name the classes of the data, {', '.join(classes)}. "
            f"Received: {', '.join(given)}.",
            hint="Use --set loss.class_weights=from_counts, or a list of one number a class.",
        )
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"`loss.class_weights.{name}` must be a number. Received: {value!r}.")
    return tuple(float(given[name]) for name in classes)


def load_images(
    config: RunConfig, cases: Cases, image_size: int, progress: Callable[[int, int], None] | None = None
) -> ImageCache:
    """Decode all images of a table once, or find them decoded."""
    return cached_images(
        cases.table,
        decoding_of(config, image_size),
        fingerprint=fingerprint(cases.table),
        in_memory=config.data.cache == "memory",
        skip_bad=config.data.skip_bad,
        progress=progress,
    )


def training_batches(
    config: RunConfig, cases: Cases, images: ImageCache, *, replicas: int = 1, group: Group = ALONE
) -> InputPipeline:
    """Return the batches of the training part, balanced and augmented.

    Args:
        config: The configuration.
        cases: The cases.
        images: Decoded images.
        replicas: Devices that share each batch. Each takes the mean over its own share, so that shares must
            be equal: several devices leave out an epoch's last batch where it is not full.
        group: Processes that share each batch, likewise.

    Raises:
        UsageError: A batch would hold more than the training part, or cannot be shared equally.
    """
    sharers = replicas * group.size
    if config.training.batch_size % sharers:
        what = "devices" if group.size == 1 else "workers"
        raise UsageError(
            f"`training.batch_size` must be a multiple of the {sharers} {what} that share a batch. "
            f"Received: {config.training.batch_size}."
        )
    part = images.usable(cases.part("train"))
    check_batch_size(config, len(part))
    balance = config.balance
    if balance.method in SYNTHETIC:
        part, images = balance_pixels(
            part, images, balance.method, seed=config.training.seed, neighbours=balance.neighbours
        )
    return InputPipeline(
        part,
        images,
        classes=cases.classes,
        vocabularies=cases.vocabularies,
        batch_size=config.training.batch_size,
        order=order_of_epochs(config, part),
        augmentation=augmentation_of(config),
        seed=config.training.seed,
        drop_remainder=sharers > 1,
        share=(group.rank, group.size),
    )


def order_of_passes(config: RunConfig, part: pd.DataFrame) -> EpochOrder:
    """Return which rows of a training part each pass shows."""
    balance = config.balance
    method = "none" if balance.method in SYNTHETIC else balance.method
    return training_order(part["label"], method, seed=config.training.seed, per_class=balance.per_class)


def order_of_epochs(config: RunConfig, part: pd.DataFrame) -> EpochOrder:
    """Return which rows of a training part each epoch shows: one pass, or as many as its steps take."""
    training, order = config.training, order_of_passes(config, part)
    if training.steps_per_epoch is not None:
        order = FixedLength(order, training.steps_per_epoch * training.batch_size)
    return order


def augmentation_of(config: RunConfig) -> Augmentation:
    """Return what is done to training images."""
    return Augmentation(**dataclasses.asdict(config.augmentation))


def check_batch_size(config: RunConfig, rows: int) -> None:
    """Check that a batch is no larger than the training part.

    Raises:
        UsageError: It is.
    """
    if config.training.batch_size > rows:
        raise UsageError(
            f"`training.batch_size` must be at most the {rows} case{'' if rows == 1 else 's'} of the "
            "training part. "
            f"Received: {config.training.batch_size}."
        )


def validation_batches(
    config: RunConfig, cases: Cases, images: ImageCache, *, group: Group = ALONE
) -> InputPipeline:
    """Return the batches of the validation part, in the table's order; this process's rows of a group's."""
    return InputPipeline(
        images.usable(cases.part("validation")).iloc[group.rank :: group.size],
        images,
        classes=cases.classes,
        vocabularies=cases.vocabularies,
        batch_size=config.training.validation_batch_size,
    )


def hardware_of(config: RunConfig, group: Group = ALONE) -> Hardware:
    """Set up what a configuration asks for.

    Training on features uses one device, as does each process of a group.
    """
    single = config.training.method != "finetune" or group.size > 1
    hardware = set_up(config.hardware, config.training.seed, single=single)
    return dataclasses.replace(hardware, workers=group.size)


def one_hot(part: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Return the labels of a part, float32 of shape `(rows, classes)`."""
    table: Mapping[str, int] = {name: i for i, name in enumerate(classes)}
    return np.eye(len(classes), dtype=np.float32)[[table[label] for label in part["label"]]]
