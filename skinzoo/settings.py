"""The sections of a run's configuration: every setting with its default, bounds and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from skinzoo.specs import POOLINGS, PREPROCESS_MODES

EMPTY: Mapping[str, Any] = MappingProxyType({})

MONITORS: Mapping[str, str] = MappingProxyType(
    {
        "val_loss": "min",
        "val_accuracy": "max",
        "val_balanced_accuracy": "max",
        "val_macro_f1": "max",
        "loss": "min",
        "accuracy": "max",
    }
)
"""What early stopping, plateaus and the choice of the best epoch may watch, and which way is better."""


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """Return a field of a section.

    Args:
        default: Value unless a recipe or the user says otherwise; a mapping must be immutable.
        meaning: One sentence.
        **limits: `choices` (allowed values), `least` and `most` (inclusive), `above` (exclusive).
    """
    metadata = {"meaning": meaning, **limits}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which cases, how they are split and how files become pixels."""

    path: str = setting("", "Folder or file of the data; empty for a dataset that needs none.")
    dataset: str = setting("", "Name of the dataset; empty to recognise it by its files.")
    options: Mapping[str, Any] = setting(EMPTY, "The dataset's own options.")
    skip_bad: bool = setting(False, "Leave out and list rows that cannot be used instead of failing.")
    protocol: str = setting("", "How cases are split; empty for lesion.")
    protocol_options: Mapping[str, Any] = setting(EMPTY, "The protocol's own options.")
    split: str = setting("", "Path of a split file; it takes the place of a protocol.")
    merge_duplicates: bool = setting(False, "Keep near-duplicates together, across lesions too.")
    seed: int | None = setting(None, "Seed of the split; None for the protocol's own.", least=0)
    resize: str = setting("squash", "How images become square.", choices=("squash", "crop"))
    preprocessing: tuple[str, ...] = setting(
        (), "Steps on the resized image, in order.", choices=("hair_removal", "shades_of_gray")
    )
    bgr: bool = setting(False, "Reverse the channels inside the model, as the papers' code did.")
    cache: str = setting("disk", "Where decoded images are kept.", choices=("disk", "memory"))


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The variant and what is changed in it; None keeps what the variant says."""

    variant: str = setting("", "Name of the variant.")
    cut: str | None = setting(None, "Where the backbone is cut.")
    attention: str | None = setting(None, "Name of the attention.")
    fusion: str | None = setting(None, "Name of the fusion.")
    pooling: str | None = setting(None, "How features become a vector.", choices=POOLINGS)
    hidden: tuple[int, ...] | None = setting(None, "Units of the head's hidden layers.", least=1)
    dropout: float | None = setting(None, "Dropout behind each hidden layer.", least=0.0, most=0.95)
    image_size: int | None = setting(None, "Height and width of the input in pixels.", least=8, most=4096)
    preprocess: str | None = setting(None, "How pixels are scaled.", choices=PREPROCESS_MODES)
    weights: str = setting("auto", "auto, imagenet, none or the path of a weights file.")


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The loss and its class weights."""

    name: str = setting("", "Name of the loss; every recipe names one.")
    class_weights: str | tuple[float, ...] | Mapping[str, Any] = setting(
        "from_counts", "from_counts, one number a class in class order, or a table of class name to number."
    )
    options: Mapping[str, Any] = setting(EMPTY, "The loss's own options.")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The optimiser."""

    name: str = setting("adamw", "Kind of optimiser.", choices=("adam", "adamw", "sgd"))
    learning_rate: float = setting(1e-3, "Peak learning rate.", above=0.0, most=100.0)
    epsilon: float = setting(1e-7, "Adam's epsilon.", above=0.0)
    beta_1: float = setting(0.9, "Adam's decay of the first moment.", least=0.0, most=0.9999)
    beta_2: float = setting(0.999, "Adam's decay of the second moment.", least=0.0, most=0.99999)
    momentum: float = setting(0.9, "Momentum of SGD.", least=0.0, most=0.9999)
    nesterov: bool = setting(False, "Nesterov momentum of SGD.")
    weight_decay: float = setting(0.0, "Decoupled decay (AdamW, SGD); biases and norms have none.", least=0.0)
    clip_norm: float | None = setting(None, "Largest global norm of the gradients.", above=0.0)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How the learning rate moves."""

    name: str = setting("cosine", "Kind.", choices=("constant", "cosine", "plateau", "steps"))
    warmup_epochs: float = setting(0.0, "Epochs of linear rise from zero.", least=0.0)
    final_fraction: float = setting(0.01, "End of the cosine as a share of the peak.", least=0.0, most=1.0)
    monitor: str = setting("val_loss", "What a plateau watches.", choices=tuple(MONITORS))
    factor: float = setting(0.2, "Factor at a plateau or step.", above=0.0, most=1.0)
    patience: int = setting(5, "Epochs without improvement that make a plateau.", least=1)
    min_delta: float = setting(1e-4, "Least change that counts as an improvement for a plateau.", least=0.0)
    minimum: float = setting(0.0, "Lowest learning rate of plateau and steps.", least=0.0)
    every: int = setting(25, "Epochs between two steps.", least=1)
    start: int | None = setting(None, "Epoch of the first step, from 0; None for `every`.", least=1)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How long, in which order and by what the best epoch is chosen."""

    method: str = setting(
        "finetune",
        "finetune trains on images; frozen and linear train on backbone features computed once.",
        choices=("finetune", "frozen", "linear"),
    )
    epochs: int = setting(30, "Most epochs, those of the head included.", least=1, most=100_000)
    batch_size: int = setting(32, "Cases in a step, over all devices.", least=1, most=65_536)
    steps_per_epoch: int | None = setting(None, "Steps in an epoch; None for one pass.", least=1)
    seed: int = setting(0, "Seed of weights, order, augmentation and dropout.", least=0, most=2**31 - 1)
    head_epochs: int = setting(0, "First epochs in which the pretrained backbone stays as it is.", least=0)
    head_learning_rate: float = setting(1e-3, "Learning rate of those epochs.", above=0.0)
    freeze_backbone: bool = setting(False, "Never train the backbone.")
    small_epochs: int = setting(0, "First epochs, those of the head included, on smaller images.", least=0)
    small_share: float = setting(0.6, "Side of the smaller images as a share.", least=0.1, most=0.95)
    batch_norm: str = setting(
        "keep",
        "Backbone's batch normalisation: keep, momentum (override it), frozen (statistics stay), or "
        "reestimate (fresh statistics before each validation).",
        choices=("keep", "momentum", "frozen", "reestimate"),
    )
    batch_norm_momentum: float = setting(0.9, "Momentum where it is overridden.", least=0.0, most=0.9999)
    reestimate_batches: int = setting(50, "Batches that statistics are estimated from.", least=1)
    select: str = setting("val_balanced_accuracy", "What chooses the best epoch.", choices=tuple(MONITORS))
    stop_monitor: str = setting("val_balanced_accuracy", "What stopping watches.", choices=tuple(MONITORS))
    patience: int | None = setting(None, "Epochs without improvement before stopping.", least=1)
    min_delta: float = setting(0.0, "Least change that counts for stopping.", least=0.0)
    validation_batch_size: int = setting(64, "Cases in a step of validation.", least=1, most=65_536)
    views: int = setting(
        4,
        "Cached views of each image for frozen and linear: one plain, the others augmented.",
        least=1,
        most=256,
    )
    checkpoint_minutes: float = setting(10.0, "Minutes between checkpoints within an epoch.", least=0.0)


@dataclass(frozen=True, kw_only=True)
class BalanceSettings:
    """Resampling of the training part."""

    method: str = setting(
        "none",
        "Kind of resampling; smote and adasyn invent images pixel by pixel.",
        choices=("none", "oversample", "undersample", "class_balanced", "smote", "adasyn"),
    )
    per_class: int | None = setting(None, "Rows of each class; None for the method's own choice.", least=1)
    neighbours: int = setting(5, "Neighbours that smote and adasyn interpolate with.", least=1)


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Random changes of training images."""

    horizontal_flip: bool = setting(False, "Mirror left and right.")
    vertical_flip: bool = setting(False, "Mirror top and bottom.")
    quarter_turns: bool = setting(False, "Turn by a multiple of 90 degrees.")
    rotation: float = setting(0.0, "Largest rotation in degrees either way.", least=0.0, most=180.0)
    shift: float = setting(0.0, "Largest shift as a share of the side.", least=0.0, most=1.0)
    zoom: float = setting(0.0, "Largest zoom either way as a share.", least=0.0, most=0.9)
    randaugment: int = setting(0, "Operations of RandAugment on an image.", least=0, most=10)
    randaugment_magnitude: float = setting(0.5, "Strength of these operations.", least=0.0, most=1.0)
    cutout: int = setting(0, "Side of CutOut's square holes in pixels.", least=0, most=4096)
    cutout_holes: int = setting(1, "Number of holes.", least=1, most=100)


@dataclass(frozen=True, kw_only=True)
class HardwareSettings:
    """What a training runs on; none of it belongs to a recipe."""

    precision: str = setting("auto", "Arithmetic.", choices=("auto", "float32", "bfloat16", "float16"))
    threads: int = setting(0, "Threads of TensorFlow; 0 leaves it to it.", least=0, most=4096)
    deterministic: bool = setting(False, "Ops that give the same result each time.")
    devices: str = setting("auto", "auto (every GPU), one, or the names of devices with commas between.")
    xla: bool = setting(False, "Compile steps with XLA.")
    workers: int = setting(1, "Processes that share each batch; more than one need Ray.", least=1, most=4096)


SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "data": DataSettings,
        "model": ModelSettings,
        "loss": LossSettings,
        "optimizer": OptimizerSettings,
        "schedule": ScheduleSettings,
        "training": TrainingSettings,
        "balance": BalanceSettings,
        "augmentation": AugmentationSettings,
        "hardware": HardwareSettings,
    }
)
