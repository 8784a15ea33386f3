"""What stands behind published numbers: why a protocol makes them too high, and how papers name metrics."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skinzoo.specs import PublishedResult, VariantSpec

LEAKY_PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "paper": "leaky: images of one lesion stand on both sides, and the scored part chose the checkpoint",
        "northeastern": "leaky: images of one lesion stand on both sides",
        "datta": "selection on test: the scored part chose the checkpoint",
    }
)
SAME_METRIC: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "balanced_accuracy": ("macro_recall",),
        "macro_recall": ("balanced_accuracy",),
        "roc_auc_macro": ("auc_macro",),
        "roc_auc_weighted": ("auc_weighted",),
    }
)
"""Metric of an evaluation to other names that published results give the same number."""


def protocol_warning(protocol: str) -> str:
    """Return why numbers of a published protocol are too high, or an empty string."""
    return LEAKY_PROTOCOLS.get(protocol, "")


def headline(variant: VariantSpec) -> PublishedResult | None:
    """Return the first published result that has an accuracy."""
    return next((result for result in variant.published if "accuracy" in result.metrics), None)


def published_value(result: PublishedResult, metric: str) -> float | None:
    """Return a published result's number for a metric of an evaluation, None where it states none."""
    for name in (metric, *SAME_METRIC.get(metric, ())):
        if name in result.metrics:
            return result.metrics[name]
    return None
