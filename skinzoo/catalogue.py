"""Parts and plugins as plain documents: everything that can be said without building a model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from skinzoo.errors import PluginError
from skinzoo.plugins import Plugin
from skinzoo.published import protocol_warning
from skinzoo.registry import Conflict, Part, Registry
from skinzoo.specs import (
    AttentionSpec,
    BackboneSpec,
    Cut,
    FusionSpec,
    ParameterCounts,
    PublishedResult,
    RecipeSpec,
    VariantSpec,
)


def describe_part(part: Part, registry: Registry) -> dict[str, Any]:
    """Return everything about a part as a JSON-ready document.

    Args:
        part: The part.
        registry: Where the parts that it names are looked up; those that are missing stand in `problems`.

    Returns:
        The fields of its spec (callables as `module:name`), `kind`, `provider` and `problems`; for a
        variant also `resolved`: what it takes from its backbone, attention, fusion and recipe.
    """
    document: dict[str, Any] = {
        "kind": part.kind,
        "name": part.name,
        "provider": dataclasses.asdict(part.provider),
        **{
            spec_field.name: plain(getattr(part.spec, spec_field.name))
            for spec_field in dataclasses.fields(part.spec)
        },
        "problems": [],
    }
    if isinstance(part.spec, VariantSpec):
        document["resolved"], document["problems"] = _resolve(part.spec, registry)
    return document


def _resolve(variant: VariantSpec, registry: Registry) -> tuple[dict[str, Any], list[str]]:
    resolved: dict[str, Any] = {}
    problems: list[str] = []
    try:
        backbone = registry.get(BackboneSpec, variant.backbone)
        cut = find_cut(backbone, variant.cut)
        resolved |= {
            "input_size": backbone.input_size,
            "preprocess": backbone.preprocess,
            "licence": backbone.licence,
            "pretrained": backbone.pretrained,
            "cut": plain(cut),
        }
    except PluginError as error:
        problems.append(str(error))
    try:
        attention = registry.get(AttentionSpec, variant.attention)
        resolved |= {
            "attention_map_spatial": attention.spatial,
            "attention_pooled_concat": attention.pooled_concat,
        }
    except PluginError as error:
        problems.append(str(error))
    try:
        resolved["uses_metadata"] = registry.get(FusionSpec, variant.fusion).uses_metadata
    except PluginError as error:
        problems.append(str(error))
    try:
        recipe = registry.get(RecipeSpec, variant.recipe)
        resolved["recipe"] = {
            "name": recipe.name,
            "settings": plain(recipe.settings),
            "not_stated": list(recipe.not_stated),
        }
    except PluginError as error:
        problems.append(str(error))
    return resolved, problems


def find_cut(backbone: BackboneSpec, name: str) -> Cut:
    """Return a backbone's cut by name, the default one for an empty name.

    Raises:
        PluginError: The backbone has no such cut.
    """
    for cut in backbone.cuts:
        if name in ("", cut.name):
            return cut
    known = ", ".join(cut.name for cut in backbone.cuts) or "none"
    raise PluginError(f"The cut of '{backbone.name}' must be one of {known}. Received: '{name}'.")


def plain(value: Any) -> Any:
    """Return a value in strict JSON types: callables become `module:name`, NaN becomes null."""
    if isinstance(value, ParameterCounts):
        return {**dataclasses.asdict(value), "total": value.total}
    if isinstance(value, PublishedResult):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {**fields, "protocol_warning": protocol_warning(value.protocol)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if callable(value):
        function = getattr(value, "func", value)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return f"{getattr(function, '__module__', '?')}:{name}"
    return str(value)


def describe_plugin(plugin: Plugin) -> dict[str, Any]:
    """Return a plugin as a JSON-ready document."""
    return {
        **dataclasses.asdict(plugin.provider),
        "target": plugin.target,
        "status": plugin.status,
        "hooks": list(plugin.hooks),
        "parts": [{"kind": spec.kind, "name": spec.name} for spec in plugin.specs],
        "problem": plugin.problem,
    }


def describe_conflict(conflict: Conflict) -> dict[str, Any]:
    """Return a contested name as a JSON-ready document."""
    return dataclasses.asdict(conflict)
