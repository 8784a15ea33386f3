"""NASNetMobile and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import NASNET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="nasnetmobile",
    title="NASNetMobile",
    source=NASNET,
    build=keras_application("NASNetMobile"),
    input_size=224,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="normal_left5_12_relu",
            anchor="separable_conv_1_bn_normal_left5_12",
            path=("Activation",),
            feature_map=(7, 7, 176),
            notes="the cut of the runs with metadata: ReLU inside the last normal cell",
        ),
        Cut(
            name="separable_conv_1_bn_normal_left5_12",
            anchor="separable_conv_1_bn_normal_left5_12",
            feature_map=(7, 7, 176),
            notes="the cut of the runs without metadata: the batch normalisation before that ReLU",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=23,
    depth=308,
    published_parameters=5_289_978,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M33"))]
