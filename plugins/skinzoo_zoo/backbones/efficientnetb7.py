"""EfficientNetB7 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetb7",
    title="EfficientNetB7",
    source=EFFICIENTNET,
    build=keras_application("EfficientNetB7"),
    input_size=600,
    preprocess="identity",
    cuts=(
        Cut(
            name="block7d_activation",
            anchor="block7d_activation",
            feature_map=(19, 19, 3840),
            notes="our choice: the last depthwise activation (the papers' rule gives a 1x1 squeeze)",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=256,
    depth=438,
    published_parameters=66_347_960,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
