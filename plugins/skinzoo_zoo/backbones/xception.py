"""Xception and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import XCEPTION
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="xception",
    title="Xception",
    source=XCEPTION,
    build=keras_application("Xception"),
    input_size=299,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="block14_sepconv2_act",
            anchor="block14_sepconv2_act",
            feature_map=(10, 10, 2048),
            notes="nothing removed but pooling and classifier",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=88,
    depth=81,
    min_size=71,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
