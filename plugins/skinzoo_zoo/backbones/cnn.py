"""The small CNN of the Northeastern report, for 32x32 images: for tests, demos and the ADASYN study."""

from typing import Any

from skinzoo.api import BackboneRequest, BackboneSpec, Cut, PublishedResult, VariantSpec, hookimpl
from skinzoo_zoo.licences import FROM_SCRATCH
from skinzoo_zoo.published import NORTHEASTERN
from skinzoo_zoo.variants import soft_attention_variant

_FILTERS = (32, 32, 64, 128)
_POOLED = (1, 2)


def build(request: BackboneRequest) -> Any:
    """Build four 3x3 convolutions, a 2x2 pooling behind the second and the third."""
    import keras

    image = keras.Input(request.input_shape)
    x = image
    for i, filters in enumerate(_FILTERS):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        if i in _POOLED:
            x = keras.layers.MaxPooling2D(2, name=f"pool{i}")(x)
    return keras.Model(image, x, name="cnn")


BACKBONE = BackboneSpec(
    name="cnn",
    title="Small CNN for 32x32 images",
    source=NORTHEASTERN,
    build=build,
    input_size=32,
    preprocess="unit",
    cuts=(Cut(name="conv3", anchor="conv3", feature_map=(8, 8, 128), notes="the last convolution"),),
    licence=FROM_SCRATCH,
    pretrained=False,
    min_size=8,
    notes=("Kernel sizes, pooling places and input scaling are not stated in the report: our choice.",),
)


@hookimpl
def skinzoo_backbones() -> list[BackboneSpec]:
    """Return the backbone."""
    return [BACKBONE]


@hookimpl
def skinzoo_variants() -> list[VariantSpec]:
    """Return its variants: with Soft-Attention and metadata."""
    return [
        soft_attention_variant(
            BACKBONE,
            pooling="gap",
            fusion="mlp",
            recipe="scratch",
            published=(
                PublishedResult(
                    source=NORTHEASTERN.authors,
                    dataset="HAM10000",
                    protocol="northeastern",
                    metrics={"accuracy": 0.72, "macro_f1": 0.52},
                    cases=2003,
                    notes="no attention, no metadata, ADASYN oversampling, 25 epochs",
                ),
            ),
            notes=("Global average pooling and the mlp fusion are our choice.",),
        )
    ]
