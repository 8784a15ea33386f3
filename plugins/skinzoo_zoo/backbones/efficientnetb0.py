"""EfficientNetB0 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetb0",
    title="EfficientNetB0",
    source=EFFICIENTNET,
    build=keras_application("EfficientNetB0"),
    input_size=224,
    preprocess="identity",
    cuts=(
        Cut(
            name="block7a_activation",
            anchor="block7a_activation",
            feature_map=(7, 7, 1152),
            notes="our choice: the last depthwise activation (the papers' rule gives a 1x1 squeeze)",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=29,
    depth=132,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
