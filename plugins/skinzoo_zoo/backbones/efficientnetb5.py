"""EfficientNetB5 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetb5",
    title="EfficientNetB5",
    source=EFFICIENTNET,
    build=keras_application("EfficientNetB5"),
    input_size=456,
    preprocess="identity",
    cuts=(
        Cut(
            name="block7c_activation",
            anchor="block7c_activation",
            feature_map=(15, 15, 3072),
            notes="our choice: the last depthwise activation (the papers' rule gives a 1x1 squeeze)",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=118,
    depth=312,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
