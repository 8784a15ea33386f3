"""Frozen descriptions of the parts that plugins provide: pure data, free of TensorFlow.

Every spec is returned by a hook of `skinzoo.hookspecs`. Callables in a spec import Keras (or pandas)
inside, so that listing parts stays fast. Fields are only ever added, with defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from skinzoo.vocabulary import LOCALIZATION, SEX, Vocabulary

if TYPE_CHECKING:
    import keras
    import pandas as pd

API_VERSION = 1

PREPROCESS_MODES = ("symmetric", "caffe", "torch", "identity", "unit")
POOLINGS = ("flatten", "gap")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a part was published.

    Args:
        title: Title of the paper, report or repository.
        authors: First author and year, `Nguyen et al. 2022`.
        url: Address or identifier, empty where there is none.
    """

    title: str
    authors: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every part has.

    Args:
        name: Lower-case name, unique among the parts of its kind.
        title: One line that says what it is.
        source: Where it was published.
        notes: What a user should know: choices of ours, differences from the source.
        api_version: Version of the contract that the plugin was written against.
    """

    kind: ClassVar[str] = ""

    name: str
    title: str
    source: Source | None = None
    notes: tuple[str, ...] = ()
    api_version: int = API_VERSION


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A place in a backbone whose output becomes the feature map.

    The place is found by a stable layer name and, where Keras numbers layers by itself, by a path of
    consumers from there; never by an index or by an auto-numbered name.

    Args:
        name: What a user types after `--cut`.
        anchor: Name of a layer that Keras names itself, the same in every build.
        path: Class names of the consumers to follow from the anchor, in order.
        leads_to: Class names of consumers that must follow the place, to tell branches apart.
        scale: Factor on the output, where Keras has an operation without a layer.
        feature_map: Expected shape `(height, width, channels)` at the backbone's input size.
        notes: What was removed, and how it relates to the source.
    """

    name: str
    anchor: str
    path: tuple[str, ...] = ()
    leads_to: tuple[str, ...] = ()
    scale: float = 1.0
    feature_map: tuple[int, int, int] | None = None
    notes: str = ""


WHOLE = Cut(name="whole", anchor="", notes="the whole backbone, up to its own last feature map")
"""A cut that every backbone has: none. An own cut of the same name takes its place."""


@dataclass(frozen=True, kw_only=True)
class BackboneRequest:
    """What a backbone is built from.

    Args:
        input_shape: `(height, width, 3)`.
        weights: `"imagenet"` or None.
    """

    input_shape: tuple[int, int, int]
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A convolutional network that can be cut at a named layer.

    Args:
        build: Returns the whole `keras.Model` from preprocessed float images to its last layer.
        input_size: Height and width of the input in pixels.
        preprocess: How 0..255 RGB becomes the network's input: `symmetric` (x / 127.5 - 1), `caffe`
            (BGR order, ImageNet mean subtracted), `torch` (0..1, ImageNet mean and deviation), `unit`
            (0..1) or `identity` (the network rescales by itself).
        cuts: Places to cut at, the default one first.
        licence: Licence of the pretrained weights, or why there are none.
        pretrained: Whether `build` can load ImageNet weights.
        tail: Continues the network behind the attention module, for backbones that carry it in the
            middle: takes the features `(batch, h, w, c)` and whether they were pooled by the module,
            returns features or a vector.
        size_mb: Published size of the pretrained weights in megabytes.
        depth: Published depth.
        published_parameters: Trainable parameters of the whole backbone as published.
        min_size: Smallest input height and width that the network accepts.
    """

    kind: ClassVar[str] = "backbone"

    build: Callable[[BackboneRequest], keras.Model]
    input_size: int
    preprocess: str
    cuts: tuple[Cut, ...]
    licence: str
    pretrained: bool = True
    tail: Callable[[Any, bool], Any] | None = None
    size_mb: float | None = None
    depth: int | None = None
    published_parameters: int | None = None
    min_size: int = 32


@dataclass(frozen=True, kw_only=True)
class AttentionSpec(Spec):
    """A layer on the feature map.

    Args:
        build: Returns a `keras.layers.Layer` that maps features `(batch, h, w, c)` to the pair
            (attended features of the same shape, non-negative attention map `(batch, h, w)`). A layer
            whose map is made of several may have a method `head_maps(features)` that returns them,
            `(batch, h, w, heads)`, not negative; explanations then show each.
        spatial: Whether the map tells places apart by what the layer learned about places.
        pooled_concat: Whether the module max-pools the trunk and the attended features and concatenates
            them; otherwise the attended features go on alone.
    """

    kind: ClassVar[str] = "attention"

    build: Callable[[], keras.layers.Layer]
    spatial: bool = True
    pooled_concat: bool = True


@dataclass(frozen=True, kw_only=True)
class MetadataLayout:
    """How the metadata vector is laid out.

    Args:
        groups: First and last-but-one index of each property, in order: age, sex, localization.
        missing: The vector that encodes a case of which nothing is known.
    """

    groups: tuple[tuple[int, int], ...]
    missing: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FusionRequest:
    """What a fusion joins, as Keras tensors.

    Args:
        image: Image vector `(batch, d)`.
        metadata: Metadata vector `(batch, m)`; None where the spec does not use it.
        layout: Layout of the metadata vector; None where the spec does not use it.
    """

    image: Any
    metadata: Any = None
    layout: MetadataLayout | None = None


@dataclass(frozen=True, kw_only=True)
class FusionSpec(Spec):
    """How the metadata vector joins the image vector.

    Args:
        build: Takes a FusionRequest and returns the fused Keras tensor `(batch, f)`.
        uses_metadata: False where the image vector goes on alone.
    """

    kind: ClassVar[str] = "fusion"

    build: Callable[[FusionRequest], Any]
    uses_metadata: bool = True


@dataclass(frozen=True, kw_only=True)
class LossRequest:
    """What a loss is built from.

    Args:
        class_counts: Cases of each class in the training part, in class order.
        class_names: Class names in class order.
        class_weights: `"from_counts"`, or explicit weights in class order; ignored by unweighted losses.
        options: The loss's own options from the recipe.
    """

    class_counts: tuple[int, ...]
    class_names: tuple[str, ...] = ()
    class_weights: str | tuple[float, ...] = "from_counts"
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class LossSpec(Spec):
    """A loss between one-hot labels and class probabilities.

    Args:
        build: Takes a LossRequest and returns a `keras.losses.Loss`.
        weighted: Whether it takes class weights.
        options: Names of its own options with their defaults.
        tabulate: Returns the class weights that a request leads to; None for unweighted losses.
    """

    kind: ClassVar[str] = "loss"

    build: Callable[[LossRequest], keras.losses.Loss]
    weighted: bool = False
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    tabulate: Callable[[LossRequest], tuple[float, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """The classifier behind the fusion: hidden ReLU layers with dropout, then a softmax.

    Args:
        hidden: Units of the hidden layers.
        dropout: Rate behind each hidden layer.
    """

    hidden: tuple[int, ...] = ()
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """A number of a paper, with what it stands on.

    Args:
        source: `Nguyen et al. 2022`.
        dataset: `HAM10000`.
        protocol: Name of the protocol as skinzoo spells it.
        metrics: Metric name to value.
        cases: Number of cases scored.
        run: The source's own name of the run.
        notes: What differs from the variant as it is built here.
    """

    source: str
    dataset: str
    protocol: str
    metrics: Mapping[str, float]
    cases: int | None = None
    run: str = ""
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class ParameterCounts:
    """Numbers of weights of a built variant with 7 classes."""

    trainable: int
    non_trainable: int

    @property
    def total(self) -> int:
        """All weights."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True, kw_only=True)
class VariantSpec(Spec):
    """A backbone, cut, attention, fusion and head that `train NAME` takes.

    Args:
        backbone: Name of the backbone.
        attention: Name of the attention.
        fusion: Name of the fusion.
        cut: Name of one of its cuts; empty for its default one.
        pooling: `flatten` or `gap`: how features become the image vector.
        head: The classifier.
        recipe: Name of the recipe that is used unless another is asked for.
        published: Numbers of the papers for this variant.
        parameters: Counts of the variant as built with 7 classes; generated, checked by the contract kit.
    """

    kind: ClassVar[str] = "variant"

    backbone: str
    attention: str
    fusion: str
    cut: str = ""
    pooling: str = "flatten"
    head: Head = Head()
    recipe: str = "default"
    published: tuple[PublishedResult, ...] = ()
    parameters: ParameterCounts | None = None


@dataclass(frozen=True, kw_only=True)
class Vocabularies:
    """The vocabularies of the metadata encoder; they never shrink to what a training part holds."""

    sex: Vocabulary = SEX
    localization: Vocabulary = LOCALIZATION


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What the publication says, to check what is on disk against.

    Args:
        class_counts: Images of each class.
        images: Images in all.
        lesions: Distinct lesions.
        image_size: Width and height of the published files.
    """

    class_counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    images: int | None = None
    lesions: int | None = None
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of an official archive.

    Args:
        name: File name on disk.
        url: Official address.
        checksum: `md5:...` or `sha256:...` as pooch takes it; empty where none is published.
        size: Bytes, where known.
        unpack: Whether it is an archive to unpack beside itself.
    """

    name: str
    url: str
    checksum: str = ""
    size: int | None = None
    unpack: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """What a reader is asked for.

    Args:
        path: Folder or file that the user named; None for datasets that need none.
        options: The dataset's own options.
        skip_bad: Leave out rows that cannot be used, and list them, instead of failing.
    """

    path: Path | None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    skip_bad: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A reader that turns what people have on disk into the canonical table of cases.

    Args:
        read: Takes a DatasetRequest and returns the table (columns: `skinzoo.data.table`); rows that it
            left out stand in `DataFrame.attrs["left_out"]`.
        classes: Class names in the fixed order; None where the data decide.
        recognises: Whether a path looks like this dataset.
        licence: Licence of the data and who to cite.
        vocabularies: Vocabularies of sex and localization.
        facts: What the publication says.
        files: Files of the official archive.
        options: Names of the reader's own options with their defaults.
        has_lesions: Whether images carry lesion or patient ids.
        has_parts: Whether the dataset comes with official parts.
    """

    kind: ClassVar[str] = "dataset"

    read: Callable[[DatasetRequest], pd.DataFrame]
    classes: tuple[str, ...] | None
    recognises: Callable[[Path], bool]
    licence: str
    vocabularies: Vocabularies = Vocabularies()
    facts: DatasetFacts = DatasetFacts()
    files: tuple[RemoteFile, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    has_lesions: bool = False
    has_parts: bool = False


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(Spec):
    """All training settings, as data.

    Args:
        settings: Section to key to value, in the form of the run configuration's TOML file.
        not_stated: Keys, as `section.key`, that the source does not state and that are our choice.
    """

    kind: ClassVar[str] = "recipe"

    settings: Mapping[str, Mapping[str, Any]]
    not_stated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A number computed from true classes and probabilities.

    Args:
        compute: Takes true class indices `(n,)` and probabilities `(n, classes)`, returns the value.
        higher_is_better: How runs are sorted by it.
    """

    kind: ClassVar[str] = "metric"

    compute: Callable[[Any, Any], float]
    higher_is_better: bool = True


SPEC_TYPES: tuple[type[Spec], ...] = (
    BackboneSpec,
    AttentionSpec,
    FusionSpec,
    LossSpec,
    VariantSpec,
    DatasetSpec,
    RecipeSpec,
    MetricSpec,
)
KINDS: tuple[str, ...] = tuple(spec.kind for spec in SPEC_TYPES)
