"""VGG16 of Keras, with ImageNet weights and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import VGG
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="vgg16_imagenet",
    title="VGG16 of Keras, with ImageNet weights",
    source=VGG,
    build=keras_application("VGG16"),
    input_size=224,
    preprocess="caffe",
    cuts=(
        Cut(
            name="block5_conv3",
            anchor="block5_conv3",
            feature_map=(14, 14, 512),
            notes="our choice: the last convolution; the module then takes the last pooling's place",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=528,
    depth=16,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE)]
