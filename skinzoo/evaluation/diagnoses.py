"""Which class is melanoma and which classes are malignant, by the names that datasets use."""

from __future__ import annotations

from collections.abc import Sequence

MELANOMA: tuple[str, ...] = ("mel", "melanoma")
NEVUS: tuple[str, ...] = ("nv", "nevus", "common_nevus")
MALIGNANT: tuple[str, ...] = (*MELANOMA, "bcc", "scc", "akiec")
"""Melanoma, basal and squamous cell carcinoma, and `akiec`, which holds carcinoma in situ (Bowen's disease)
beside actinic keratosis; `ak`, actinic keratosis alone, is a precursor and counted as benign."""


def melanoma_class(classes: Sequence[str]) -> str | None:
    """Return the class of melanoma, or None."""
    return next((name for name in classes if name.lower() in MELANOMA), None)


def nevus_class(classes: Sequence[str]) -> str | None:
    """Return the class of common nevi, or None."""
    return next((name for name in classes if name.lower() in NEVUS), None)


def malignant_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the malignant classes in class order, or none where all of them are or none is."""
    found = tuple(name for name in classes if name.lower() in MALIGNANT)
    return found if len(found) < len(classes) else ()
