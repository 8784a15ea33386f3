"""ResNet152 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import RESNET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="resnet152",
    title="ResNet152",
    source=RESNET,
    build=keras_application("ResNet152"),
    input_size=224,
    preprocess="caffe",
    cuts=(
        Cut(
            name="conv5_block1_out",
            anchor="conv5_block1_out",
            feature_map=(7, 7, 2048),
            notes="the last two residual units removed",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=232,
    depth=311,
    published_parameters=60_268_520,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M21"))]
