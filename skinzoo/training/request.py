"""From what a user asks for to a configuration: data found, the sample kept short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.config import RunConfig, make_config, merge, parse_assignments, read_settings
from skinzoo.data.read import SAMPLE, Data, resolve_data
from skinzoo.training import prepare
from skinzoo.training.checks import check_settings
from skinzoo.training.lock import locked
from skinzoo.training.runs import RunFolder, check_name, find_run

SAMPLE_EPOCHS = 3
SAMPLE_SIZE = 224
"""On the sample a training sees about as many pixels as this many epochs of images of this size have."""


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What a user asks for.

    Args:
        variant: Name of the variant.
        recipe: Name of a recipe; None for the file's or the variant's own.
        file: TOML file of settings.
        assignments: Texts `section.key=value`.
        data: Path or name of the data; None for the usual ones.
        options: Section to key to value, of the command line.
        name: Name of the run; None for one of variant, recipe and time.
        trackers: Names of `skinzoo.training.trackers.TRACKERS`.
    """

    variant: str
    recipe: str | None = None
    file: Path | None = None
    assignments: tuple[str, ...] = ()
    data: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str | None = None
    trackers: tuple[str, ...] = ()


def resolve_request(request: TrainRequest) -> tuple[RunConfig, list[str]]:
    """Return the configuration and what the user should be told about it.

    Raises:
        UsageError: Settings that cannot be honoured.
        PluginError: A part that no plugin registers.
        ModelError: Weights that cannot be had.
        DataError: Data that cannot be found.
    """
    config = make_config(
        request.variant,
        recipe=request.recipe,
        file=request.file,
        assignments=request.assignments,
        options=request.options,
    )
    check_settings(config, request.trackers)
    if request.name is not None:
        check_name(request.name)
    notices = []
    data = _data(request.data or config.data.path or "", config.data.dataset)
    if data.notice:
        notices.append(data.notice)
    found = {"path": str(data.path or ""), "dataset": config.data.dataset or data.dataset or ""}
    config = merge(config, {"data": found | {"options": config.data.options}})
    if config.data.dataset == SAMPLE:
        config, shortened = _short(config, _given(request))
        if shortened:
            notices.append(
                f"On the sample a training is short: at most {_counted(config.training.epochs, 'epoch')}. "
                "Choose another number with --epochs."
            )
    return config, notices


def resolve_resume(name: str | Path, folder: Path | None = None) -> RunFolder:
    """Return the run to go on with, checked as far as that needs no data.

    Args:
        name: Path, name, unique prefix of a name, or `latest`.
        folder: Folder of runs; the usual one unless given.

    Raises:
        UsageError: There is no such run, it is finished, or another process trains it.
        ModelError: Its files cannot be read.
        PluginError: A part that no plugin registers any more.
    """
    run = find_run(name, folder)
    with locked(run.path):
        run.check_unfinished()
        check_settings(run.config(), run.resolved()["trackers"], begun=True)
    return run


def _data(given: str, dataset: str) -> Data:
    """Return the data that were given, else the usual ones, else the downloaded copy of a named dataset."""
    if not given and dataset and dataset != SAMPLE:
        usual = resolve_data()
        if usual.path is not None:
            return usual
    return resolve_data(given or dataset or None)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _given(request: TrainRequest) -> set[str]:
    sources: list[Mapping[str, Any]] = [parse_assignments(request.assignments), request.options]
    if request.file is not None:
        sources.append(read_settings(request.file))
    return {
        f"{section}.{key}"
        for source in sources
        for section, values in source.items()
        if isinstance(values, Mapping)
        for key in values
    }


def _short(config: RunConfig, given: set[str]) -> tuple[RunConfig, bool]:
    """Shorten what a recipe asks for on real data to some minutes, unless the user asked for it."""
    training = config.training
    # Networks for small images are small, and a step of theirs takes a fraction of the time.
    size = prepare.resolve(config).image_size
    epochs = max(SAMPLE_EPOCHS, round(SAMPLE_EPOCHS * (SAMPLE_SIZE / size) ** 2))
    if "training.epochs" in given:
        return config, False
    shortened = epochs < training.epochs
    changes: dict[str, Any] = {}
    if shortened:
        changes = {"epochs": epochs, "head_epochs": min(training.head_epochs, 1)}
    # Numbers that are meant for the size of real data.
    if "training.steps_per_epoch" not in given:
        changes["steps_per_epoch"] = None
    config = config.changed("training", **changes)
    if config.balance.per_class is not None and "balance.per_class" not in given:
        config = config.changed("balance", per_class=None)
    return config, shortened
