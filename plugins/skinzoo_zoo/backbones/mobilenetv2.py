"""MobileNetV2 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import MOBILENETV2
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="mobilenetv2",
    title="MobileNetV2",
    source=MOBILENETV2,
    build=keras_application("MobileNetV2"),
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="block_14_depthwise",
            anchor="block_14_depthwise",
            feature_map=(7, 7, 960),
            notes="depthwise convolution before its batch normalisation",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=14,
    depth=105,
    published_parameters=3_504_872,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M23"))]
