"""Completion of names on the command line, from the registry alone."""

from __future__ import annotations

from collections.abc import Callable

from skinzoo.specs import KINDS

LISTED_KINDS: tuple[str, ...] = ("variant", *(kind for kind in KINDS if kind != "variant"))


def names_of(*kinds: str) -> Callable[[str], list[str]]:
    """Return a completion callback for the names of parts of these kinds."""

    def complete(incomplete: str) -> list[str]:
        """Return the names that start with what was typed."""
        from skinzoo.registry import registry

        parts = registry()
        names = {name for kind in kinds for name in parts.names(kind)}
        return sorted(name for name in names if name.startswith(incomplete.lower()))

    return complete


def one_of_these(*values: str) -> Callable[[str], list[str]]:
    """Return a completion callback for fixed values."""

    def complete(incomplete: str) -> list[str]:
        """Return the values that start with what was typed."""
        return [value for value in values if value.startswith(incomplete.lower())]

    return complete


def complete_cut(incomplete: str) -> list[str]:
    """Return the names of all backbones' cuts that start with what was typed."""
    from skinzoo.registry import registry
    from skinzoo.specs import WHOLE, BackboneSpec

    specs = [part.spec for part in registry().parts(BackboneSpec.kind)]
    names = {cut.name for spec in specs if isinstance(spec, BackboneSpec) for cut in spec.cuts} | {WHOLE.name}
    return sorted(name for name in names if name.startswith(incomplete))
