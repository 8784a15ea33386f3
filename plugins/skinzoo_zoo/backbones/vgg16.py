"""The hand-made VGG16 of Datta et al. (2021), with the attention in the middle."""

from typing import Any

from skinzoo.api import BackboneRequest, BackboneSpec, Cut, VariantSpec, hookimpl
from skinzoo_zoo.licences import FROM_SCRATCH
from skinzoo_zoo.published import DATTA, published
from skinzoo_zoo.variants import soft_attention_variant

# Filters and kernel sizes of the convolutions of each block.
_BLOCKS = ((64, (3, 1)), (128, (3, 1)), (256, (3, 3, 1)), (512, (3, 3, 1)))
_LAST_BLOCK = (512, (3, 3, 1))


def _block(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    import keras

    for i, kernel in enumerate(kernels):
        x = keras.layers.Conv2D(
            filters,
            kernel,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"{name}_conv{i}",
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm{i}")(x)
    return x


def build(request: BackboneRequest) -> Any:
    """Build the first four blocks."""
    import keras

    image = keras.Input(request.input_shape)
    x = image
    for i, (filters, kernels) in enumerate(_BLOCKS):
        x = _block(x, filters, kernels, f"block{i}")
        if i < len(_BLOCKS) - 1:
            x = keras.layers.MaxPooling2D(2, name=f"block{i}_pool")(x)
    return keras.Model(image, x, name="vgg16")


def tail(features: Any, pooled: bool) -> Any:
    """Continue with the last block and the two dense layers; a module without pooling is made up for."""
    import keras

    x = features if pooled else keras.layers.MaxPooling2D(2, name="block3_pool")(features)
    x = _block(x, *_LAST_BLOCK, "block4")
    x = keras.layers.MaxPooling2D(4, padding="same", name="block4_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(4096, activation="relu", name="dense0")(x)
    return keras.layers.Dense(4096, activation="relu", name="dense1")(x)


BACKBONE = BackboneSpec(
    name="vgg16",
    title="VGG16, hand-made",
    source=DATTA,
    build=build,
    tail=tail,
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="block4",
            anchor="block3_norm2",
            feature_map=(28, 28, 512),
            notes="in the middle of the network, behind the fourth convolution block",
        ),
    ),
    licence=FROM_SCRATCH,
    pretrained=False,
    notes=("Its own flattening and dense layers stand before the fusion; `--pooling` does not change them.",),
)


@hookimpl
def skinzoo_backbones() -> list[BackboneSpec]:
    """Return the backbone."""
    return [BACKBONE]


@hookimpl
def skinzoo_variants() -> list[VariantSpec]:
    """Return its Soft-Attention variant."""
    return [soft_attention_variant(BACKBONE, published=published("VGG16+SA", "A5"))]
