"""MobileNetV3Small and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import MOBILENETV3
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="mobilenetv3small",
    title="MobileNetV3Small",
    source=MOBILENETV3,
    build=keras_application("MobileNetV3Small", include_preprocessing=False),
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="expanded_conv_10_depthwise_bn",
            anchor="expanded_conv_10_depthwise_bn",
            path=("Activation",),
            feature_map=(7, 7, 576),
            notes="hard-swish behind the depthwise batch normalisation",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    depth=88,
    published_parameters=2_542_856,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M24"))]
