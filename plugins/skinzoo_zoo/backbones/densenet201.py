"""DenseNet201 and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import DENSENET
from skinzoo_zoo.published import published
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="densenet201",
    title="DenseNet201",
    source=DENSENET,
    build=keras_application("DenseNet201"),
    input_size=224,
    preprocess="torch",
    cuts=(
        Cut(
            name="conv5_block29_1_relu",
            anchor="conv5_block29_1_relu",
            feature_map=(7, 7, 128),
            notes="bottleneck ReLU inside layer 29 of the fourth dense block",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=80,
    depth=402,
    published_parameters=20_013_928,
    notes=("The notebooks scaled to -1..1; the weights expect what is used here.",),
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, published=published("M7", "DenseNet201+SA"))]
