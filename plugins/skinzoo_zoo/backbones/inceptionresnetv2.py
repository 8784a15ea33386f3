"""InceptionResNetV2 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import INCEPTION_RESNET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="inceptionresnetv2",
    title="InceptionResNetV2",
    source=INCEPTION_RESNET,
    build=keras_application("InceptionResNetV2"),
    input_size=299,
    preprocess="symmetric",
    cuts=(
        Cut(
            name="block8_9_branch",
            anchor="block8_8_ac",
            path=("Conv2D", "BatchNormalization"),
            leads_to=("Activation", "Concatenate"),
            feature_map=(8, 8, 192),
            notes="batch normalisation of the first branch of the ninth block8, before its ReLU",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=215,
    depth=449,
    published_parameters=55_813_192,
    min_size=75,
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M1", "D1"))]
