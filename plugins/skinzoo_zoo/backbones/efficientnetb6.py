"""EfficientNetB6 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetb6",
    title="EfficientNetB6",
    source=EFFICIENTNET,
    build=keras_application("EfficientNetB6"),
    input_size=528,
    preprocess="identity",
    cuts=(
        Cut(
            name="block7c_activation",
            anchor="block7c_activation",
            feature_map=(17, 17, 3456),
            notes="our choice: the last depthwise activation (the papers' rule gives a 1x1 squeeze)",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=166,
    depth=360,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
