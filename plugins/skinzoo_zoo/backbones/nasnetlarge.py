"""NASNetLarge and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import NASNET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="nasnetlarge",
    title="NASNetLarge",
    source=NASNET,
    build=keras_application("NASNetLarge"),
    input_size=331,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="normal_left5_18_relu",
            anchor="separable_conv_1_bn_normal_left5_18",
            path=("Activation",),
            feature_map=(11, 11, 672),
            notes="ReLU inside the last normal cell",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=343,
    depth=533,
    published_parameters=88_753_150,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M34"))]
