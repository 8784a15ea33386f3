"""EfficientNetV2S and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import EFFICIENTNETV2
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="efficientnetv2s",
    title="EfficientNetV2S",
    source=EFFICIENTNETV2,
    build=keras_application("EfficientNetV2S"),
    input_size=384,
    preprocess="identity",
    cuts=(
        Cut(
            name="top_activation",
            anchor="top_activation",
            feature_map=(12, 12, 1280),
            notes="nothing removed but pooling and classifier",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=88,
    notes=("Beyond the papers: global average pooling and the mlp fusion are our choice.",),
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, pooling="gap", fusion="mlp")]
