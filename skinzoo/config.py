"""From a recipe, a TOML file and overrides to one frozen configuration of a run; free of TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.errors import UsageError, did_you_mean, one_of
from skinzoo.files import read_toml, tomllib
from skinzoo.registry import Registry, registry
from skinzoo.settings import (
    EMPTY,
    SECTIONS,
    AugmentationSettings,
    BalanceSettings,
    DataSettings,
    HardwareSettings,
    LossSettings,
    ModelSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainingSettings,
)
from skinzoo.specs import RecipeSpec, VariantSpec

Settings = Mapping[str, Mapping[str, Any]]

HASH_LENGTH = 16
NOT_OF_THE_RECIPE: Mapping[str, tuple[str, ...]] = {
    "data": (
        "path",
        "dataset",
        "options",
        "skip_bad",
        "protocol",
        "protocol_options",
        "split",
        "merge_duplicates",
        "seed",
        "cache",
    ),
    "model": ("variant", "weights"),
    "training": ("seed", "validation_batch_size", "checkpoint_minutes"),
    "hardware": tuple(one.name for one in dataclasses.fields(HardwareSettings)),
}
"""Settings that say on what, where or with which seed a recipe is carried out."""

OWNERS: Mapping[str, Mapping[str, str]] = {
    "data": {"options": "dataset", "protocol_options": "protocol"},
    "loss": {"options": "name"},
}
"""Tables of options with the setting that they are options of."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Every setting of a run, resolved and checked.

    Args:
        recipe: Name of the recipe that it started from.
        data: Cases and pixels.
        model: Variant and changes to it.
        loss: Loss.
        optimizer: Optimiser.
        schedule: Learning rate.
        training: Length, order, choice of the best epoch.
        balance: Resampling.
        augmentation: Random changes of images.
        hardware: What it runs on.
    """

    recipe: str = "default"
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    balance: BalanceSettings = field(default_factory=BalanceSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    hardware: HardwareSettings = field(default_factory=HardwareSettings)

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration in JSON's types, every setting present."""
        return {"recipe": self.recipe} | {name: _plain(getattr(self, name)) for name in SECTIONS}

    def canonical_json(self) -> str:
        """Return the configuration as JSON with sorted keys and no white space."""
        return _canonical(self.as_dict())

    @property
    def recipe_hash(self) -> str:
        """Hash of the settings that a recipe consists of, whatever the variant, data, seed and machine."""
        document = self.as_dict()
        del document["recipe"]
        for section, keys in NOT_OF_THE_RECIPE.items():
            for key in keys:
                del document[section][key]
        return hashlib.sha256(_canonical(document).encode()).hexdigest()[:HASH_LENGTH]

    def changed(self, section: str, **values: Any) -> RunConfig:
        """Return a copy with other, checked values in one section."""
        return merge(self, {section: values})


def make_config(
    variant: str,
    *,
    recipe: str | None = None,
    file: Path | None = None,
    assignments: Iterable[str] = (),
    options: Settings | None = None,
    parts: Registry | None = None,
) -> RunConfig:
    """Resolve the configuration of a run.

    Later sources win: the recipe, its `[model]` section included; the TOML file; `section.key=value`
    assignments; options of the command line.

    Args:
        variant: Name of the variant.
        recipe: Name of a recipe; None for the file's `recipe`, else the variant's own.
        file: TOML file: sections with settings, and `recipe` at the top.
        assignments: Texts `section.key=value`; the value as in TOML, quotes may be left out.
        options: Section to key to value.
        parts: Registry to look in; None for the installed plugins'.

    Raises:
        UsageError: An unknown section or key, or a value of the wrong type or out of bounds.
        PluginError: An unknown variant or recipe.
    """
    parts = parts or registry()
    spec = parts.get(VariantSpec, variant)
    from_file = read_settings(file) if file is not None else {}
    named = from_file.pop("recipe", None)
    if named is not None and not isinstance(named, str):
        raise UsageError(f"`recipe` of {file} must be the name of a recipe. Received: {named!r}.")
    chosen = parts.get(RecipeSpec, recipe or named or spec.recipe)
    config = merge(RunConfig(recipe=chosen.name), chosen.settings, where=f"recipe '{chosen.name}'")
    config = merge(config, from_file, where=str(file))
    config = merge(config, parse_assignments(assignments), where="--set")
    config = merge(config, options or {})
    return merge(config, {"model": {"variant": spec.name}})


def merge(config: RunConfig, settings: Settings, *, where: str = "") -> RunConfig:
    """Return a configuration with some settings replaced.

    A setting that is itself a table, like the loss's options, keeps the entries that are not given, unless
    what the table belongs to (the loss, the dataset, the protocol, the method) changes as well.

    Args:
        config: Configuration to start from.
        settings: Section to key to value.
        where: Where they come from, for errors.

    Raises:
        UsageError: An unknown section or key, or a value of the wrong type or out of bounds.
    """
    place = f" in {where}" if where else ""
    sections: dict[str, Any] = {}
    for section, values in settings.items():
        if section not in SECTIONS:
            raise UsageError(
                f"A section{place} must be one of {', '.join(SECTIONS)}. Received: '{section}'.",
                hint=_section_of(section) or did_you_mean(section, SECTIONS),
            )
        if not isinstance(values, Mapping):
            raise UsageError(f"`{section}`{place} must be a section of settings. Received: {values!r}.")
        known = {one.name: one for one in dataclasses.fields(SECTIONS[section])}
        changes = {}
        for key, value in values.items():
            if key not in known:
                raise UsageError(
                    f"Section `{section}`{place} has the settings {', '.join(known)}. Received: '{key}'.",
                    hint=_section_of(key) or did_you_mean(key, known),
                )
            changes[key] = _checked(
                f"{section}.{key}", value, _types(SECTIONS[section])[key], known[key].metadata
            )
        before = getattr(config, section)
        for table, owner in OWNERS.get(section, {}).items():
            same = changes.get(owner, getattr(before, owner)) == getattr(before, owner)
            if table in changes and same:
                changes[table] = types.MappingProxyType({**getattr(before, table), **changes[table]})
            elif table not in changes and not same:
                changes[table] = EMPTY
        sections[section] = dataclasses.replace(before, **changes)
    return dataclasses.replace(config, **sections)


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings.

    Raises:
        UsageError: It cannot be read or is not TOML.
    """
    try:
        return read_toml(path)
    except OSError as error:
        raise UsageError(f"`--config` must be a file. Received: '{path}' ({error.strerror}).") from error
    except ValueError as error:
        raise UsageError(f"`--config` must be a TOML file. Received: '{path}' ({error}).") from error


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse texts `section.key=value`; a third name, `loss.options.gamma=1`, sets an entry of a table.

    Raises:
        UsageError: A text of another form, or a setting that is given twice.
    """
    parsed: dict[str, dict[str, Any]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        names = [part.strip() for part in name.split(".")]
        if not equals or len(names) not in (2, 3) or not all(names):
            raise UsageError(
                f"`--set` must be section.key=value. Received: '{text}'.",
                hint="For example: --set optimizer.learning_rate=0.0003",
            )
        table = parsed.setdefault(names[0], {})
        if len(names) == 3:
            table = table.setdefault(names[1], {})
        if not isinstance(table, dict) or names[-1] in table:
            raise UsageError(f"`--set` must give a setting once. Received twice: '{'.'.join(names)}'.")
        table[names[-1]] = _value(value.strip())
    return parsed


def from_dict(document: Mapping[str, Any]) -> RunConfig:
    """Read a configuration back from what `RunConfig.as_dict` gave.

    Raises:
        UsageError: It is something else.
    """
    sections = {name: value for name, value in document.items() if name != "recipe"}
    return merge(RunConfig(recipe=str(document.get("recipe", "default"))), sections)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _section_of(key: str) -> str | None:
    for name, section in SECTIONS.items():
        if key in {one.name for one in dataclasses.fields(section)}:
            return f"Did you mean '{name}.{key}'?"
    return None


@functools.cache
def _types(section: type) -> dict[str, Any]:
    return typing.get_type_hints(section)


def _checked(name: str, value: Any, annotation: Any, limits: Mapping[str, Any]) -> Any:
    result = _fitted(value, annotation)
    if result is _UNFIT:
        raise UsageError(f"`{name}` must be {_spoken(annotation)}. Received: {value!r}.")
    elements = result if isinstance(result, tuple) else (result,)
    for element in elements:
        _within(name, element, limits)
    return result


_UNFIT = object()


def _fitted(value: Any, annotation: Any) -> Any:
    """Return a value in the form of a type annotation, or `_UNFIT`."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        for argument in arguments:
            fitted = _fitted(value, argument)
            if fitted is not _UNFIT:
                return fitted
        return _UNFIT
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _UNFIT
        elements = tuple(_fitted(element, arguments[0]) for element in value)
        return _UNFIT if any(element is _UNFIT for element in elements) else elements
    if origin is not None and issubclass(origin, Mapping):
        return types.MappingProxyType(dict(value)) if isinstance(value, Mapping) else _UNFIT
    if annotation is type(None):
        # TOML has no null; where a text is allowed too, "none" is the name of a part.
        return None if value in (None, "none") else _UNFIT
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else _UNFIT
    if isinstance(value, bool) and annotation is not bool:
        return _UNFIT
    return value if isinstance(value, annotation) else _UNFIT


def _within(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    if value is None:
        return
    choices = limits.get("choices")
    if choices is not None and value not in choices:
        raise one_of(name, str(value), choices)
    rules = [
        ("least", "at least", lambda bound: value < bound),
        ("above", "above", lambda bound: value <= bound),
        ("most", "at most", lambda bound: value > bound),
    ]
    stated = [
        (f"{words} {limits[name]}", broken(limits[name])) for name, words, broken in rules if name in limits
    ]
    if any(broken for _, broken in stated):
        rule = " and ".join(text for text, _ in stated)
        raise UsageError(f"`{name}` must be {rule}. Received: {value!r}.")


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "none"}


def _spoken(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_spoken(argument) for argument in arguments)
    if origin is tuple:
        return f"a list, each {_spoken(arguments[0])}"
    if origin is not None:
        return "a table"
    return _WORDS[annotation]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
