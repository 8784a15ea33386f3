"""What the plugin provides. Importing this module imports no Keras, so that `skinzoo list` stays fast."""

from __future__ import annotations

from typing import Any

from skinzoo.api import BackboneRequest, BackboneSpec, Cut, Source, VariantSpec, hookimpl

SOURCE = Source(title="skinzoo-example", authors="The authors of skinzoo-example")


def build_network(request: BackboneRequest) -> Any:
    """Build the whole network, from preprocessed float images to its last layer."""
    from skinzoo_example.network import build

    return build(request.input_shape)


BACKBONE = BackboneSpec(
    name="example",
    title="Two strided convolutions behind a stem",
    source=SOURCE,
    build=build_network,
    input_size=64,
    min_size=16,
    preprocess="symmetric",
    cuts=(Cut(name="block1", anchor="block1_relu", feature_map=(8, 8, 64)),),
    licence="no pretrained weights, trained from scratch",
    pretrained=False,
    api_version=1,
)

VARIANT = VariantSpec(
    name="example",
    title="Two strided convolutions with Soft-Attention and metadata",
    source=SOURCE,
    backbone=BACKBONE.name,
    attention="soft",
    fusion="mlp",
    pooling="gap",
    api_version=1,
)


@hookimpl
def skinzoo_backbones() -> list[BackboneSpec]:
    """Return the backbone."""
    return [BACKBONE]


@hookimpl
def skinzoo_variants() -> list[VariantSpec]:
    """Return the variant."""
    return [VARIANT]
