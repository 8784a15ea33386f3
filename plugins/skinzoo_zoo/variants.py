"""What the built-in variants have in common."""

from typing import Any

from skinzoo.api import BackboneSpec, VariantSpec
from skinzoo_zoo.counts import counts


def soft_attention_variant(backbone: BackboneSpec, **choices: Any) -> VariantSpec:
    """Return the variant of a backbone's own name: Soft-Attention at the default cut, metadata by concat4096.

    Args:
        backbone: The backbone.
        **choices: Fields of VariantSpec that differ.
    """
    fields: dict[str, Any] = {
        "name": backbone.name,
        "title": f"{backbone.title} with Soft-Attention and metadata",
        "source": backbone.source,
        "backbone": backbone.name,
        "attention": "soft",
        "fusion": "concat4096",
        "pooling": "flatten",
        "parameters": counts(backbone.name),
    }
    return VariantSpec(**(fields | choices))
