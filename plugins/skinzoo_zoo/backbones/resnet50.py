"""ResNet50 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import RESNET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="resnet50",
    title="ResNet50",
    source=RESNET,
    build=keras_application("ResNet50"),
    input_size=224,
    preprocess="caffe",
    cuts=(
        Cut(
            name="conv5_block3_out",
            anchor="conv5_block3_out",
            feature_map=(7, 7, 2048),
            notes="nothing removed but pooling and classifier",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=98,
    depth=107,
    published_parameters=25_583_592,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M19", "ResNet50+SA"))]
