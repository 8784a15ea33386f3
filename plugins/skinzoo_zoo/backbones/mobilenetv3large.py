"""MobileNetV3Large and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import MOBILENETV3
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="mobilenetv3large",
    title="MobileNetV3Large",
    source=MOBILENETV3,
    build=keras_application("MobileNetV3Large", include_preprocessing=False),
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="expanded_conv_14_expand_bn",
            anchor="expanded_conv_14_expand_bn",
            path=("Activation",),
            feature_map=(7, 7, 960),
            notes="the papers' cut -34: hard-swish behind the expansion",
        ),
        Cut(
            name="expanded_conv_14_depthwise_bn",
            anchor="expanded_conv_14_depthwise_bn",
            path=("Activation",),
            feature_map=(7, 7, 960),
            notes="the papers' cut -28: hard-swish behind the depthwise convolution",
        ),
        Cut(
            name="expanded_conv_13_squeeze_excite_conv_1",
            anchor="expanded_conv_13_squeeze_excite_conv_1",
            path=("Add", "ReLU"),
            scale=1 / 6,
            feature_map=(1, 1, 960),
            notes="the papers' cut -44: the squeeze-excite gates of block 13",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    depth=118,
    published_parameters=5_483_032,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M27", "M25", "M29"))]
