"""MobileNet and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import MOBILENET
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="mobilenet",
    title="MobileNet",
    source=MOBILENET,
    build=keras_application("MobileNet"),
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="conv_dw_10_relu",
            anchor="conv_dw_10_relu",
            feature_map=(14, 14, 512),
            notes="what the papers' rule of cutting 28 layers from the end gives; no paper reports it",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=16,
    depth=55,
    published_parameters=4_231_976,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
