"""The hand-made ResNet34 of Datta et al. (2021), with the attention in the middle."""

from typing import Any

from skinzoo.api import BackboneRequest, BackboneSpec, Cut, VariantSpec, hookimpl
from skinzoo_zoo.licences import FROM_SCRATCH
from skinzoo_zoo.published import DATTA, published
from skinzoo_zoo.variants import soft_attention_variant


def _conv_relu_norm(x: Any, filters: int, name: str) -> Any:
    import keras

    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv")(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)


def _stage(x: Any, filters: int, blocks: int, *, project: bool, name: str) -> Any:
    """Stack residual blocks; with `project` every skip path has a convolution of its own."""
    import keras

    for block in range(blocks):
        prefix = f"{name}_block{block}"
        skip = _conv_relu_norm(x, filters, f"{prefix}_skip") if project else x
        x = _conv_relu_norm(x, filters, f"{prefix}_1")
        x = _conv_relu_norm(x, filters, f"{prefix}_2")
        x = keras.layers.Add(name=f"{prefix}_add")([x, skip])
        x = keras.layers.ReLU(name=f"{prefix}_out")(x)
    return x


def build(request: BackboneRequest) -> Any:
    """Build the stem and the stages of 64 and 128 filters."""
    import keras

    image = keras.Input(request.input_shape)
    x = keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="stem_conv")(image)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    x = _stage(x, 64, 3, project=False, name="stage64")
    x = keras.layers.MaxPooling2D(2, name="stage64_pool")(x)
    x = _stage(x, 128, 4, project=True, name="stage128")
    return keras.Model(image, x, name="resnet34")


def tail(features: Any, pooled: bool) -> Any:
    """Continue with the stages of 256 and 512 filters."""
    import keras

    x = _stage(features, 256, 6, project=True, name="stage256")
    x = keras.layers.MaxPooling2D(2, name="stage256_pool")(x)
    return _stage(x, 512, 3, project=True, name="stage512")


BACKBONE = BackboneSpec(
    name="resnet34",
    title="ResNet34, hand-made",
    source=DATTA,
    build=build,
    tail=tail,
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="stage128",
            anchor="stage128_block3_out",
            feature_map=(28, 28, 128),
            notes="in the middle of the network, behind the stage of 128 filters",
        ),
    ),
    licence=FROM_SCRATCH,
    pretrained=False,
)


@hookimpl
def skinzoo_backbones() -> list[BackboneSpec]:
    """Return the backbone."""
    return [BACKBONE]


@hookimpl
def skinzoo_variants() -> list[VariantSpec]:
    """Return its Soft-Attention variant."""
    return [soft_attention_variant(BACKBONE, pooling="gap", published=published("ResNet34+SA", "A4"))]
