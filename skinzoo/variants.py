"""Variants with every choice made; free of Keras, so that a wrong choice is refused at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skinzoo.errors import UsageError, one_of
from skinzoo.registry import Registry, registry
from skinzoo.specs import (
    POOLINGS,
    PREPROCESS_MODES,
    WHOLE,
    AttentionSpec,
    BackboneSpec,
    Cut,
    FusionSpec,
    Head,
    VariantSpec,
    Vocabularies,
)

CANONICAL = Vocabularies()


@dataclass(frozen=True, kw_only=True)
class ResolvedVariant:
    """A variant with every choice made: what `create_model` builds and what a run records.

    Args:
        name: Name of the registered variant that it started from.
        backbone: The backbone.
        cut: Where it is cut.
        attention: The attention.
        fusion: The fusion.
        pooling: `flatten` or `gap`.
        head: The classifier.
        classes: Number of classes.
        image_size: Height and width of the input in pixels.
        preprocess: How pixels are scaled; one of `skinzoo.specs.PREPROCESS_MODES`.
        bgr: Whether the model reverses the channels of its RGB input.
        vocabularies: Vocabularies of the metadata encoder.
    """

    name: str
    backbone: BackboneSpec
    cut: Cut
    attention: AttentionSpec
    fusion: FusionSpec
    pooling: str
    head: Head
    classes: int
    image_size: int
    preprocess: str
    bgr: bool = False
    vocabularies: Vocabularies = CANONICAL

    def describe(self) -> dict[str, Any]:
        """Return the choices as plain data for a run or a card."""
        return {
            "variant": self.name,
            "backbone": self.backbone.name,
            "cut": self.cut.name,
            "attention": self.attention.name,
            "fusion": self.fusion.name,
            "pooling": self.pooling,
            "head": {"hidden": list(self.head.hidden), "dropout": self.head.dropout},
            "classes": self.classes,
            "image_size": self.image_size,
            "preprocess": self.preprocess,
            "bgr": self.bgr,
        }


def resolve_variant(
    name: str,
    *,
    cut: str | None = None,
    attention: str | None = None,
    fusion: str | None = None,
    pooling: str | None = None,
    head: Head | None = None,
    classes: int = 7,
    image_size: int | None = None,
    preprocess: str | None = None,
    bgr: bool = False,
    vocabularies: Vocabularies | None = None,
    parts: Registry | None = None,
) -> ResolvedVariant:
    """Look a variant's parts up and check every choice; builds nothing and imports no backbone.

    Args:
        name: A registered variant.
        cut: Name of one of the backbone's cuts, or `whole`; None for the variant's.
        attention: Name of an attention; None for the variant's.
        fusion: Name of a fusion; None for the variant's.
        pooling: `flatten` or `gap`; None for the variant's.
        head: The classifier; None for the variant's.
        classes: Number of classes, at least 2.
        image_size: Height and width of the input; None for the backbone's.
        preprocess: How pixels are scaled; None for the backbone's own way.
        bgr: Whether the model reverses the channels of its RGB input.
        vocabularies: Vocabularies of sex and localization; None for the canonical ones.
        parts: Registry to look in; None for the installed plugins'.

    Raises:
        PluginError: A name that no plugin, or more than one, registers.
        UsageError: A choice that does not exist for this variant.
    """
    parts = parts or registry()
    variant = parts.get(VariantSpec, name)
    backbone = parts.get(BackboneSpec, variant.backbone)
    wanted_cut = cut or variant.cut or backbone.cuts[0].name
    # Behind a backbone with a tail the network goes on anyway, so its own cut is the whole of it.
    whole = backbone.cuts[0] if backbone.tail is not None else WHOLE
    cuts = {WHOLE.name: whole} | {place.name: place for place in backbone.cuts}
    if wanted_cut not in cuts:
        raise one_of("cut", wanted_cut, cuts)
    wanted_pooling = pooling or variant.pooling
    if wanted_pooling not in POOLINGS:
        raise one_of("pooling", wanted_pooling, POOLINGS)
    if classes < 2:
        raise UsageError(f"`classes` must be at least 2. Received: {classes}.")
    size = image_size or backbone.input_size
    if size < backbone.min_size:
        raise UsageError(f"`image_size` must be at least {backbone.min_size} for {name}. Received: {size}.")
    wanted_preprocess = preprocess or backbone.preprocess
    if wanted_preprocess not in PREPROCESS_MODES:
        raise one_of("preprocess", wanted_preprocess, PREPROCESS_MODES)
    return ResolvedVariant(
        name=variant.name,
        backbone=backbone,
        cut=cuts[wanted_cut],
        attention=parts.get(AttentionSpec, attention or variant.attention),
        fusion=parts.get(FusionSpec, fusion or variant.fusion),
        pooling=wanted_pooling,
        head=head or variant.head,
        classes=classes,
        image_size=size,
        preprocess=wanted_preprocess,
        bgr=bgr,
        vocabularies=vocabularies or CANONICAL,
    )
