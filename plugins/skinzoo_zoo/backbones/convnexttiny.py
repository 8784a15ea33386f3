"""ConvNeXtTiny and its Soft-Attention variant."""

from skinzoo.api import BackboneSpec, Cut, hookimpl, keras_application
from skinzoo_zoo.licences import KERAS_APPLICATIONS
from skinzoo_zoo.papers import CONVNEXT
from skinzoo_zoo.variants import soft_attention_variant

BACKBONE = BackboneSpec(
    name="convnexttiny",
    title="ConvNeXtTiny",
    source=CONVNEXT,
    build=keras_application("ConvNeXtTiny"),
    input_size=224,
    preprocess="identity",
    cuts=(
        Cut(
            name="stage_3_block_2",
            anchor="convnext_tiny_stage_3_block_2_identity",
            path=("Add",),
            feature_map=(7, 7, 768),
            notes="nothing removed but pooling and classifier",
        ),
    ),
    licence=KERAS_APPLICATIONS,
    size_mb=109,
    notes=("Beyond the papers: global average pooling and the mlp fusion are our choice.",),
)


@hookimpl
def skinzoo_backbones():
    return [BACKBONE]


@hookimpl
def skinzoo_variants():
    return [soft_attention_variant(BACKBONE, pooling="gap", fusion="mlp")]
