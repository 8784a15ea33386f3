"""Parts by kind and name: lookups, wildcards, suggestions and duplicate names."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from skinzoo.errors import DuplicateNameError, UnknownNameError, nearest, one_of
from skinzoo.plugins import BLOCK_VARIABLE, Plugin, Provider, installed_plugins, reload_plugins
from skinzoo.specs import KINDS, Spec, VariantSpec

SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Part:
    """A registered spec and where it comes from."""

    spec: Spec
    provider: Provider

    @property
    def name(self) -> str:
        """The part's name."""
        return self.spec.name

    @property
    def kind(self) -> str:
        """The part's kind."""
        return self.spec.kind


@dataclass(frozen=True)
class Conflict:
    """A name that several plugins register; no one can use it until one of them is disabled."""

    kind: str
    name: str
    providers: tuple[Provider, ...]

    def __str__(self) -> str:
        return (
            f"The {self.kind} name '{self.name}' is registered by "
            f"{' and by '.join(str(provider) for provider in self.providers)}."
        )


class Registry:
    """All parts of a set of plugins.

    Args:
        plugins: Plugins, the failed and disabled ones included.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._parts: dict[tuple[str, str], Part] = {}
        self._conflicts: dict[tuple[str, str], Conflict] = {}
        found: dict[tuple[str, str], list[Part]] = {}
        for plugin in self.plugins:
            for spec in plugin.specs:
                found.setdefault((spec.kind, spec.name), []).append(Part(spec, plugin.provider))
        for key, parts in found.items():
            if len(parts) == 1:
                self._parts[key] = parts[0]
            else:
                self._conflicts[key] = Conflict(*key, tuple(part.provider for part in parts))

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Names that more than one plugin registers."""
        return tuple(self._conflicts.values())

    @property
    def failed(self) -> tuple[Plugin, ...]:
        """Plugins that could not be loaded."""
        return tuple(plugin for plugin in self.plugins if plugin.status == "failed")

    def parts(self, kind: str | None = None, pattern: str = "*") -> list[Part]:
        """Return the parts of a kind (of all kinds for None) whose names match a shell-style pattern."""
        if kind is not None and kind not in KINDS:
            raise one_of("kind", kind, KINDS)
        return [
            part
            for (part_kind, name), part in self._parts.items()
            if kind in (None, part_kind) and fnmatch.fnmatchcase(name, pattern.lower())
        ]

    def names(self, kind: str, pattern: str = "*") -> list[str]:
        """Return the names of a kind that match a shell-style pattern, in order of registration."""
        return [part.name for part in self.parts(kind, pattern)]

    def matching(self, kind: str, pattern: str) -> list[Part]:
        """Return the parts of a kind that match a shell-style pattern, at least one.

        Raises:
            DuplicateNameError: Only contested names match.
            UnknownNameError: Nothing matches.
        """
        parts = self.parts(kind, pattern)
        if parts:
            return parts
        for conflict_kind, name in self._conflicts:
            if conflict_kind == kind and fnmatch.fnmatchcase(name, pattern.lower()):
                self.part(kind, name)
        raise self._unknown(kind, pattern)

    def part(self, kind: str, name: str) -> Part:
        """Return one part.

        Raises:
            DuplicateNameError: Two plugins register the name.
            UnknownNameError: No loaded plugin registers the name.
        """
        key = (kind, name.lower())
        if key in self._parts:
            return self._parts[key]
        if key in self._conflicts:
            conflict = self._conflicts[key]
            raise DuplicateNameError(
                str(conflict),
                hint=f"Disable one with {BLOCK_VARIABLE}={conflict.providers[-1].plugin}",
            )
        raise self._unknown(kind, name)

    def get(self, spec_type: type[SpecT], name: str) -> SpecT:
        """Return the spec of a part; the kind is that of `spec_type`. Raises like `part`."""
        spec = self.part(spec_type.kind, name).spec
        assert isinstance(spec, spec_type)
        return spec

    def find(self, name: str, kinds: Iterable[str] = KINDS) -> list[Part]:
        """Return every part with this name, of whatever kind.

        Raises:
            DuplicateNameError: The only parts with this name are contested.
            UnknownNameError: There is none.
        """
        kinds = list(kinds)
        found = [self._parts[kind, name.lower()] for kind in kinds if (kind, name.lower()) in self._parts]
        if found:
            return found
        for kind in kinds:
            if (kind, name.lower()) in self._conflicts:
                self.part(kind, name)
        raise self._unknown(None if len(kinds) > 1 else kinds[0], name)

    def _unknown(self, kind: str | None, name: str) -> UnknownNameError:
        known = sorted({part_name for part_kind, part_name in self._parts if kind in (None, part_kind)})
        match = nearest(name.strip("*?"), known)
        hint = (
            f"Did you mean '{match}'?"
            if match
            else f"See: skinzoo list --kind {kind}"
            if kind
            else f"See: skinzoo list, or skinzoo list --kind KIND (one of {', '.join(KINDS)})"
        )
        if self.failed:
            names = ", ".join(plugin.provider.plugin for plugin in self.failed)
            hint += f" (Plugins that failed to load: {names}; see: skinzoo plugins)"
        if disabled := [plugin.provider.plugin for plugin in self.plugins if plugin.status == "disabled"]:
            hint += f" (Disabled plugins: {', '.join(disabled)}; see: skinzoo plugins)"
        verb = "matches" if any(sign in name for sign in "*?[") else "is named"
        return UnknownNameError(f"No {kind or 'part'} {verb} '{name}'.", hint=hint)


@functools.cache
def registry() -> Registry:
    """Return the registry of all installed plugins."""
    return Registry(installed_plugins())


def reload_registry() -> Registry:
    """Discover plugins anew; for tests and long-lived processes."""
    reload_plugins()
    registry.cache_clear()
    return registry()


def list_variants(pattern: str = "*") -> list[str]:
    """Return the names of all variants that match a shell-style pattern.

    Args:
        pattern: For example `mobilenet*`.

    Examples:
        >>> import skinzoo
        >>> "mobilenetv2" in skinzoo.list_variants("mobilenet*")
        True
    """
    return registry().names(VariantSpec.kind, pattern)
