"""From a variant to a Keras model: the one place where the parts are put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from skinzoo.errors import ModelError, PluginError, SkinzooError
from skinzoo.model.cutting import cut_backbone
from skinzoo.model.metadata import MetadataEncoder
from skinzoo.model.preprocessing import Preprocess
from skinzoo.model.weights import WeightReport, load_weight_file, offline_explained
from skinzoo.plugins import describe
from skinzoo.specs import BackboneRequest, FusionRequest, Head, Spec, Vocabularies
from skinzoo.variants import ResolvedVariant, resolve_variant

IMAGE, AGE, SEX, LOCALIZATION = "image", "age", "sex", "localization"
BACKBONE_LAYER = "backbone"
ATTENTION_LAYER = "attention"
METADATA_LAYER = "metadata"
FUSED_LAYER = "fused"
PROBABILITIES_LAYER = "probabilities"
MODULE_DROPOUT = 0.5


def create_model(
    name: str,
    *,
    classes: int = 7,
    cut: str | None = None,
    attention: str | None = None,
    fusion: str | None = None,
    pooling: str | None = None,
    head: Head | None = None,
    weights: str | Path | None = "none",
    image_size: int | None = None,
    preprocess: str | None = None,
    bgr: bool = False,
    vocabularies: Vocabularies | None = None,
) -> keras.Model:
    """Build a variant.

    Args:
        name: A registered variant, for example `mobilenetv2`.
        classes: Number of classes, at least 2.
        cut: Where to cut the backbone, `whole` for nowhere; None for the variant's own place.
        attention: Name of an attention; None for the variant's.
        fusion: Name of a fusion; None for the variant's.
        pooling: `flatten` or `gap`; None for the variant's.
        head: The classifier; None for the variant's.
        weights: `none`, `imagenet`, or the path of a `.weights.h5`, `.keras` or `.h5` file.
        image_size: Height and width of the input in pixels; None for the backbone's.
        preprocess: How pixels are scaled; None for the backbone's own way.
        bgr: Reverse the channels inside the model.
        vocabularies: Vocabularies of sex and localization; None for the canonical ones.

    Returns:
        A functional `keras.Model` that takes a dictionary of `image` uint8 RGB `(batch, size, size, 3)`,
        `age` float32 years `(batch,)` (NaN = unknown), `sex` and `localization` int32 indices `(batch,)`,
        and gives float32 probabilities `(batch, classes)`. `attention_model` yields the attention map.

    Raises:
        PluginError: A name that no plugin, or more than one, registers.
        UsageError: A choice that does not exist for this variant.
        ModelError: Weights that cannot be had or do not fit.

    Examples:
        >>> import skinzoo
        >>> model = skinzoo.create_model("mobilenetv2", classes=7, attention="soft", weights="none")
        >>> model.output_shape
        (None, 7)
    """
    resolved = resolve_variant(
        name,
        cut=cut,
        attention=attention,
        fusion=fusion,
        pooling=pooling,
        head=head,
        classes=classes,
        image_size=image_size,
        preprocess=preprocess,
        bgr=bgr,
        vocabularies=vocabularies,
    )
    return build_model(resolved, weights=weights)[0]


def build_model(
    variant: ResolvedVariant, *, weights: str | Path | None = "none"
) -> tuple[keras.Model, WeightReport]:
    """Build a resolved variant and report where its weights come from.

    Args:
        variant: The variant with every choice made.
        weights: As in `create_model`.
    """
    trunk, report = _trunk(variant, weights)
    size = variant.image_size
    inputs = {
        IMAGE: keras.Input((size, size, 3), dtype="uint8", name=IMAGE),
        AGE: keras.Input((), dtype="float32", name=AGE),
        SEX: keras.Input((), dtype="int32", name=SEX),
        LOCALIZATION: keras.Input((), dtype="int32", name=LOCALIZATION),
    }
    pixels = Preprocess(variant.preprocess, bgr=variant.bgr, name="preprocess")(inputs[IMAGE])
    features, pooled = _attention_module(variant, trunk(pixels))
    if variant.backbone.tail is not None:
        with _building(variant.backbone):
            features = variant.backbone.tail(features, pooled)
    image_vector = _pool(features, variant.pooling)
    fused = keras.layers.Identity(name=FUSED_LAYER)(_fuse(variant, image_vector, inputs))
    return keras.Model(inputs, _classify(variant, fused), name=variant.name), report


def attention_model(model: keras.Model) -> keras.Model:
    """Return the sub-model that yields the attention map `(batch, h, w)`, its layers shared.

    Args:
        model: A model of `create_model`, or one loaded from a `.keras` file.

    Raises:
        ModelError: The model was not built by skinzoo.
    """
    try:
        layer = model.get_layer(ATTENTION_LAYER)
    except ValueError as error:
        raise _without_attention(model) from error
    return keras.Model(model.input, layer.output[1], name="attention_map")


def feature_map(model: keras.Model) -> keras.KerasTensor:
    """Return the feature map that the attention of a model sees, as a Keras tensor.

    Raises:
        ModelError: The model has none, or is an ensemble, which has several.
    """
    try:
        found = model.get_layer(ATTENTION_LAYER).input
    except ValueError as error:
        raise _without_attention(model) from error
    if isinstance(found, list | tuple):
        raise ModelError(
            f"A model must have one feature map. Received: '{model.name}', an ensemble, whose members "
            "have one each.",
            hint="Name a member instead; the ensemble's card.json lists them.",
        )
    return found


def metadata_encoder(model: keras.Model) -> MetadataEncoder | None:
    """Return a model's metadata encoder, or None where the fusion takes no metadata.

    The members of an ensemble have one each, with the same vocabularies: the first one is returned.
    """
    for layer in model.layers:
        if isinstance(layer, MetadataEncoder):
            return layer
        if isinstance(layer, keras.Model) and (found := metadata_encoder(layer)) is not None:
            return found
    return None


def _without_attention(model: keras.Model) -> ModelError:
    return ModelError(
        f"A model must have a layer named '{ATTENTION_LAYER}' to yield attention maps. "
        f"Received: '{model.name}', which has none."
    )


@contextmanager
def _building(spec: Spec) -> Iterator[None]:
    """Attribute whatever goes wrong in a plugin's `build` to the part."""
    try:
        yield
    except SkinzooError:
        raise
    except Exception as error:
        raise PluginError(
            f"The {spec.kind} '{spec.name}' could not be built: {describe(error)}",
            hint="`skinzoo.create_model` in Python shows the whole traceback.",
        ) from error


def _trunk(variant: ResolvedVariant, weights: str | Path | None) -> tuple[keras.Model, WeightReport]:
    spec = variant.backbone
    choice = "none" if weights is None else str(weights)
    if choice == "imagenet" and not spec.pretrained:
        raise ModelError(
            f"`weights` must be none or a path for '{spec.name}': there are no ImageNet weights for it.",
            hint="Use `--weights none`.",
        )
    request = BackboneRequest(
        input_shape=(variant.image_size, variant.image_size, 3),
        weights="imagenet" if choice == "imagenet" else None,
    )
    with _building(spec), offline_explained(spec.name):
        network = spec.build(request)
    trunk = cut_backbone(network, variant.cut, name=BACKBONE_LAYER)
    if choice == "none":
        return trunk, WeightReport("none")
    needed = [layer.name for layer in trunk.layers]
    if choice == "imagenet":
        return trunk, WeightReport("imagenet", loaded=tuple(la.name for la in trunk.layers if la.weights))
    return trunk, load_weight_file(network, Path(choice).expanduser(), needed=needed)


def _attention_module(variant: ResolvedVariant, trunk: Any) -> tuple[Any, bool]:
    with _building(variant.attention):
        # The name is how a reloaded model finds the map; a plugin's layer may have been given another.
        layer = _renamed(variant.attention.build(), ATTENTION_LAYER)
        attended, _ = layer(trunk)
    pooled = variant.attention.pooled_concat
    if pooled:
        pool = keras.layers.MaxPooling2D
        attended = keras.layers.Concatenate(name="attention_concat")(
            [
                pool(2, padding="same", name="trunk_pool")(trunk),
                pool(2, padding="same", name="attended_pool")(attended),
            ]
        )
    x = keras.layers.ReLU(name="attention_relu")(attended)
    return keras.layers.Dropout(MODULE_DROPOUT, name="attention_dropout")(x), pooled


def _renamed(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    if layer.name == name:
        return layer
    return type(layer).from_config(layer.get_config() | {"name": name})


def _pool(features: Any, pooling: str) -> Any:
    name = "image_vector"
    if len(features.shape) == 2:
        return keras.layers.Identity(name=name)(features)
    if pooling == "gap":
        return keras.layers.GlobalAveragePooling2D(name=name)(features)
    return keras.layers.Flatten(name=name)(features)


def _fuse(variant: ResolvedVariant, image_vector: Any, inputs: dict[str, Any]) -> Any:
    if not variant.fusion.uses_metadata:
        with _building(variant.fusion):
            return variant.fusion.build(FusionRequest(image=image_vector))
    encoder = MetadataEncoder(
        sex=variant.vocabularies.sex.terms,
        localization=variant.vocabularies.localization.terms,
        name=METADATA_LAYER,
    )
    metadata = encoder({AGE: inputs[AGE], SEX: inputs[SEX], LOCALIZATION: inputs[LOCALIZATION]})
    request = FusionRequest(image=image_vector, metadata=metadata, layout=encoder.layout)
    with _building(variant.fusion):
        return variant.fusion.build(request)


def _classify(variant: ResolvedVariant, fused: Any) -> Any:
    x = fused
    for i, units in enumerate(variant.head.hidden):
        x = keras.layers.Dense(units, activation="relu", name=f"head_dense_{i}")(x)
        x = keras.layers.Dropout(variant.head.dropout, name=f"head_dropout_{i}")(x)
    # Float32 under every policy: a softmax in half precision loses small probabilities.
    x = keras.layers.Dense(variant.classes, dtype="float32", name="logits")(x)
    return keras.layers.Softmax(dtype="float32", name=PROBABILITIES_LAYER)(x)
