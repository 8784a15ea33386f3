"""SWEEP.toml: what a sweep tries, read and checked."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.config import RunConfig, merge
from skinzoo.errors import UsageError, did_you_mean
from skinzoo.files import read_toml
from skinzoo.settings import MONITORS, SECTIONS
from skinzoo.training.runs import check_name

METRICS = tuple(name for name in MONITORS if name.startswith("val_"))
_KEYS = (
    *("name", "variants", "recipes", "seeds", "folds", "data", "metric"),
    *("set", "grid", "random", "bounds", "asha"),
)
_RANGE = ("low", "high", "log")
# Settings that have a place of their own in the file.
_ELSEWHERE = {
    "training.seed": "seeds",
    "model.variant": "variants",
    "data.path": "data",
    "hardware.threads": "bounds.cpus",
}
_WORKERS = "hardware.workers"


@dataclass(frozen=True)
class Range:
    """Values between two bounds, both included.

    Args:
        low: The lowest.
        high: The highest.
        log: Whether their logarithm is drawn evenly.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one trial may use.

    Args:
        cpus: Threads of TensorFlow, and CPUs that Ray reserves; None for all of them, or 1 with Ray.
        gpus: GPUs, or a share of one; None for all of them, or one where the Ray cluster has any.
        memory: Resident memory in GiB, beyond which a trial is ended; None for no bound.
        at_once: Most trials at a time with Ray; None for as many as fit.
    """

    cpus: int | None = None
    gpus: float | None = None
    memory: float | None = None
    at_once: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asha:
    """Early stopping by asynchronous successive halving (Li et al. 2020, arXiv 1810.05934).

    Args:
        grace_epochs: Epochs that each trial gets.
        reduction_factor: One trial in so many goes on from each rung.
    """

    grace_epochs: int = 1
    reduction_factor: int = 3


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """A checked SWEEP.toml.

    Args:
        name: Name of the sweep; its trials' names begin with it.
        variants: Names of variants.
        recipes: Names of recipes; empty for each variant's own.
        seeds: Seeds that each setting is trained with; empty for the recipe's.
        folds: Test folds of the protocol that each setting is trained on; empty for what `settings` says.
        data: Path or name of the data; None for the usual ones.
        metric: Validation score to choose by; None for the recipe's.
        settings: Settings of all trials, section to key to value.
        grid: Setting, `section.key`, to the values that are all tried.
        random: Setting to values or a range that is drawn from.
        draws: How many settings are drawn; None for a grid.
        draw_seed: Seed of the draws.
        bounds: What one trial may use.
        asha: Early stopping; None for none.
    """

    name: str
    variants: tuple[str, ...]
    recipes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    folds: tuple[int, ...] = ()
    data: str | None = None
    metric: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    random: Mapping[str, tuple[Any, ...] | Range] = field(default_factory=dict)
    draws: int | None = None
    draw_seed: int = 0
    bounds: Bounds = field(default_factory=Bounds)
    asha: Asha | None = None


def read_sweep(path: Path) -> SweepFile:
    """Read a SWEEP.toml.

    Raises:
        UsageError: It cannot be read, or something in it is unknown, missing, or of the wrong type.
    """
    try:
        document = read_toml(path)
    except OSError as error:
        raise UsageError(f"SWEEP must be a file. Received: '{path}' ({error.strerror}).") from error
    except ValueError as error:
        raise UsageError(f"SWEEP must be a TOML file. Received: '{path}' ({error}).") from error
    reader = _Reader(document, path.name, _KEYS)
    name = reader.text("name") or path.stem
    check_name(name)
    metric = reader.text("metric")
    if metric is not None and metric not in METRICS:
        raise UsageError(
            f"`metric` of {path.name} must be a score of the validation part: {', '.join(METRICS)}. "
            f"Received: '{metric}'.",
            hint=did_you_mean(metric, METRICS) or "A choice by the test part would be too good to be true.",
        )
    variants = reader.many("variants", str)
    if not variants:
        raise UsageError(f"`variants` of {path.name} must name a variant at least. Received: none.")
    settings = reader.table("set")
    for setting in _settings_in(settings):
        _refuse_elsewhere(setting, path.name)
    merge(RunConfig(), settings, where=f"[set] of {path.name}")
    grid, drawn = reader.table("grid"), dict(reader.table("random"))
    if grid and drawn:
        raise UsageError(f"{path.name} must have [grid] or [random]. Received: both.", hint="Make two files.")
    draws = draw_seed = None
    if "random" in document:
        numbers = _Reader({key: drawn.pop(key) for key in ("trials", "seed") if key in drawn}, "[random]")
        draws, draw_seed = numbers.number("trials", int, least=1), numbers.number("seed", int, least=0)
        if draws is None:
            raise UsageError(f"[random] of {path.name} must say how many `trials` it draws.")
    return SweepFile(
        name=name,
        variants=variants,
        recipes=reader.many("recipes", str),
        seeds=reader.many("seeds", int),
        folds=reader.many("folds", int),
        data=reader.text("data"),
        metric=metric,
        settings=settings,
        grid=_values(grid, f"[grid] of {path.name}"),
        random=_values(drawn, f"[random] of {path.name}", ranges=True),
        draws=draws,
        draw_seed=draw_seed or 0,
        bounds=_bounds(reader.table("bounds"), path.name),
        asha=_asha(reader.table("asha"), path.name) if "asha" in document else None,
    )


def nested(setting: str, value: Any) -> dict[str, Any]:
    """Return a setting `section.key` as section to key to value."""
    for name in reversed(setting.split(".")):
        value = {name: value}
    return typing.cast("dict[str, Any]", value)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two tables of tables as one, in which the second wins."""
    out = dict(first)
    for key, value in second.items():
        before = out.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        out[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return out


class _Reader:
    """Takes values out of a table and refuses what it does not know."""

    def __init__(self, table: Mapping[str, Any], where: str, allowed: Iterable[str] | None = None) -> None:
        self.given, self.where = table, where
        names = list(table if allowed is None else allowed)
        for key in table:
            if key not in names:
                raise UsageError(
                    f"{where} has the keys {', '.join(names)}. Received: '{key}'.",
                    hint=did_you_mean(key, names)
                    or ("Settings of all trials stand in [set]." if key in SECTIONS else None),
                )

    def text(self, key: str) -> str | None:
        value = self.given.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self._wrong(key, "a text", value)
        return value

    def number(self, key: str, kind: type, *, least: float, above: bool = False) -> Any:
        value = self.given.get(key)
        if value is None:
            return None
        fits = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
        if not fits or value < least or (above and value == least):
            what = "a whole number" if kind is int else "a number"
            raise self._wrong(key, f"{what} {'above' if above else 'of at least'} {least:g}", value)
        return kind(value)

    def many(self, key: str, kind: type) -> tuple[Any, ...]:
        value = self.given.get(key, [])
        fits = isinstance(value, list) and all(
            isinstance(one, str if kind is str else int)
            and not isinstance(one, bool)
            and (isinstance(one, str) or one >= 0)
            for one in value
        )
        if not fits or (key in self.given and not value):
            what = "texts" if kind is str else "whole numbers of at least 0"
            raise self._wrong(key, f"a list of {what}", value)
        return tuple(dict.fromkeys(value))

    def table(self, key: str) -> Mapping[str, Any]:
        value = self.given.get(key, {})
        if not isinstance(value, Mapping):
            raise self._wrong(key, "a table", value)
        return value

    def _wrong(self, key: str, what: str, value: Any) -> UsageError:
        return UsageError(f"`{key}` of {self.where} must be {what}. Received: {value!r}.")


def _bounds(table: Mapping[str, Any], file: str) -> Bounds:
    reader = _Reader(table, f"[bounds] of {file}", ("cpus", "gpus", "memory", "at_once"))
    return Bounds(
        cpus=reader.number("cpus", int, least=1),
        gpus=reader.number("gpus", float, least=0),
        memory=reader.number("memory", float, least=0, above=True),
        at_once=reader.number("at_once", int, least=1),
    )


def _asha(table: Mapping[str, Any], file: str) -> Asha:
    reader = _Reader(table, f"[asha] of {file}", ("grace_epochs", "reduction_factor"))
    return Asha(
        grace_epochs=reader.number("grace_epochs", int, least=1) or Asha.grace_epochs,
        reduction_factor=reader.number("reduction_factor", int, least=2) or Asha.reduction_factor,
    )


def _settings_in(settings: Mapping[str, Any]) -> Iterator[str]:
    for section, values in settings.items():
        if isinstance(values, Mapping):
            yield from (f"{section}.{key}" for key in values)


def _refuse_elsewhere(setting: str, where: str) -> None:
    if setting == _WORKERS:
        raise UsageError(
            f"`{setting}` must be left out of {where}: a trial trains in one process.",
            hint="Train the best setting with --workers.",
        )
    if setting in _ELSEWHERE:
        raise UsageError(
            f"`{setting}` in {where} must be given as `{_ELSEWHERE[setting]}` of the file.",
            hint="Move it there.",
        )


def _values(table: Mapping[str, Any], where: str, *, ranges: bool = False) -> dict[str, Any]:
    """Return each setting's values, every one of them checked."""
    found: dict[str, Any] = {}
    for setting, value in _leaves(table):
        _refuse_elsewhere(setting, where)
        if setting in found:
            raise UsageError(f"`{setting}` in {where} must be given once. Received: twice.")
        if isinstance(value, list) and value:
            found[setting] = tuple(value)
            tried = value
        elif ranges and isinstance(value, Mapping):
            found[setting] = _range(setting, value, where)
            tried = [found[setting].low, found[setting].high]
        else:
            what = "a list of values" + (" or { low = , high = }" if ranges else "")
            # A misspelt setting is the likelier mistake than a value of the wrong kind.
            merge(RunConfig(), nested(setting, value), where=where)
            raise UsageError(f"`{setting}` in {where} must be {what}. Received: {value!r}.")
        for one in tried:
            merge(RunConfig(), nested(setting, one), where=where)
    return found


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and not {"low", "high"} & value.keys():
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _range(setting: str, value: Mapping[str, Any], where: str) -> Range:
    reader = _Reader(value, f"`{setting}` in {where}", _RANGE)
    low, high = (reader.number(key, float, least=float("-inf")) for key in ("low", "high"))
    log = value.get("log", False)
    if low is None or high is None or not low < high or not isinstance(log, bool) or (log and low <= 0):
        raise UsageError(
            f"`{setting}` in {where} must have low below high, and both above 0 with log = true. "
            f"Received: {dict(value)!r}."
        )
    whole = isinstance(value["low"], int) and isinstance(value["high"], int) and not _takes_fractions(setting)
    return Range(int(low) if whole else low, int(high) if whole else high, log, whole)


def _takes_fractions(setting: str) -> bool:
    section, _, key = setting.partition(".")
    if section not in SECTIONS:
        return False
    annotation = typing.get_type_hints(SECTIONS[section]).get(key)
    return annotation is float or float in typing.get_args(annotation)
