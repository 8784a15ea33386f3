"""From what a user asks for to a configuration: data found, the sample kept short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.config import RunConfig, make_config, merge, parse_assignments, read_settings
from skinzoo.data.read import SAMPLE, Data, resolve_data

SAMPLE_EPOCHS = 3


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
    """

    variant: str
    recipe: str | None = None
    file: Path | None = None
    assignments: tuple[str, ...] = ()
    data: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def resolve_request(request: TrainRequest) -> tuple[RunConfig, list[str]]:
    """Return the configuration and what the user should be told about it.

    Raises:
        UsageError: Settings that cannot be honoured.
        PluginError: An unknown variant or recipe.
        DataError: Data that cannot be found.
    """
    config = make_config(
        request.variant,
        recipe=request.recipe,
        file=request.file,
        assignments=request.assignments,
        options=request.options,
    )
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
                f"On the sample a training is short: {config.training.epochs} epochs. "
                "Choose another number with --epochs."
            )
    return config, notices


def _data(given: str, dataset: str) -> Data:
    """Return the data that were given, else the usual ones, else the downloaded copy of a named dataset."""
    if not given and dataset and dataset != SAMPLE:
        usual = resolve_data()
        if usual.path is not None:
            return usual
    return resolve_data(given or dataset or None)


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
    """Shorten what a recipe asks for on real data, unless the user asked for it."""
    training = config.training
    if "training.epochs" in given or training.epochs <= SAMPLE_EPOCHS:
        return config, False
    changes: dict[str, Any] = {"epochs": SAMPLE_EPOCHS, "head_epochs": min(training.head_epochs, 1)}
    if "training.steps_per_epoch" not in given:
        changes["steps_per_epoch"] = None
    config = config.changed("training", **changes)
    if config.balance.per_class is not None and "balance.per_class" not in given:
        config = config.changed("balance", per_class=None)
    return config, True
