"""EfficientNetB4 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetb4",
    title="EfficientNetB4",
    source=EFFICIENTNET,
    build=keras_application("EfficientNetB4"),
    input_size=380,
    preprocess="identity",
    cuts=(
        Cut(
            name="block7b_activation",
            anchor="block7b_activation",
            feature_map=(12, 12, 2688),
            notes="our choice: the last depthwise activation (the papers' rule gives a 1x1 squeeze)",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=75,
    depth=258,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
