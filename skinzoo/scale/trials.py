"""The trials of a sweep: every one a whole configuration with a name of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skinzoo.config import RunConfig, merge
from skinzoo.data.protocols import SELECTION_ON_TEST
from skinzoo.errors import UsageError
from skinzoo.scale.sweep_file import Range, SweepFile, merged, nested
from skinzoo.training import prepare
from skinzoo.training.request import TrainRequest, resolve_request

_HASH_LENGTH = 8
# Which option of a protocol says what the test fold is.
_FOLD_OPTIONS = {"lesion": "test_fold", "lesion_kfold": "fold"}


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Args:
        name: Name of its run: of the sweep, the variant, fold and seed, and a hash of its configuration.
        chosen: What the sweep varies, `section.key` to value.
        given: All settings that the file gives it, seed and fold left out.
        fold: Its test fold; None where the file names none.
        config: Its configuration.
    """

    name: str
    chosen: Mapping[str, Any]
    given: Mapping[str, Mapping[str, Any]]
    fold: int | None
    config: RunConfig

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.config.training.seed

    @property
    def setting(self) -> str:
        """What it has in common with those that differ by seed and fold alone."""
        return json.dumps([self.config.model.variant, self.config.recipe, self.chosen], sort_keys=True)


@dataclass(frozen=True)
class Trials:
    """All trials of a sweep, in order.

    Args:
        all: The trials.
        metric: The validation score that they are chosen by.
        notices: What the user should be told.
    """

    all: tuple[Trial, ...]
    metric: str
    notices: tuple[str, ...]


def make_trials(file: SweepFile) -> Trials:
    """Return a sweep's trials, each of them checked as `skinzoo train` checks it; nothing is read yet.

    Raises:
        UsageError: Settings that cannot be honoured, or trials that choose epochs by several scores.
        PluginError: A part that no plugin registers.
        DataError: Data that cannot be found.
    """
    trials: dict[str, Trial] = {}
    notices: dict[str, None] = {}
    doubles = 0
    for variant, recipe, chosen in _settings(file):
        for fold, seed in itertools.product(file.folds or (None,), file.seeds or (None,)):
            trial, said = _trial(file, variant, recipe, chosen, fold, seed)
            doubles += trial.name in trials
            trials.setdefault(trial.name, trial)
            notices.update(dict.fromkeys(said))
    if doubles:
        notices[f"{doubles} of the trials are the same as others and are trained once."] = None
    return Trials(tuple(trials.values()), _metric(file, trials.values()), tuple(notices))


def check_data(trials: Trials) -> None:
    """Read the cases and splits of all trials, so that none fails for them after hours.

    Raises:
        DataError: The data or a split cannot be used.
        UsageError: A split has no validation part beside its test part: the choice would be made on test.
    """
    seen: set[str] = set()
    for trial in trials.all:
        key = json.dumps(trial.config.as_dict()["data"], sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        split = prepare.read_cases(trial.config).split
        if SELECTION_ON_TEST in split.stamps:
            raise UsageError(
                f"A sweep must choose on a validation part that is not the test part. Received: protocol "
                f"'{split.protocol}', where they are the same.",
                hint='Choose another in [set]: data.protocol = "lesion", or give it '
                "data.protocol_options.validation = 0.1 where it has that option.",
            )


def _settings(file: SweepFile) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    recipes: tuple[str | None, ...] = file.recipes or (None,)
    if file.draws is None:
        for variant, recipe, *values in itertools.product(file.variants, recipes, *file.grid.values()):
            yield variant, recipe, dict(zip(file.grid, values, strict=True))
        return
    # Trials are drawn one after the other, so that more of them begin with the same ones.
    generator = random.Random(file.draw_seed)
    for _ in range(file.draws):
        variant, recipe = _draw(file.variants, generator), _draw(recipes, generator)
        yield variant, recipe, {name: _draw(values, generator) for name, values in file.random.items()}


def _draw(values: tuple[Any, ...] | Range, generator: random.Random) -> Any:
    # `random` is the one method whose numbers never change between versions of Python.
    share = generator.random()
    if not isinstance(values, Range):
        return values[int(share * len(values))]
    low, high = (values.low, values.high + 1) if values.whole else (values.low, values.high)
    if values.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    # Four digits say all that a draw has to say, and can be read.
    return min(int(value), int(values.high)) if values.whole else float(f"{value:.4g}")


def _trial(
    file: SweepFile,
    variant: str,
    recipe: str | None,
    chosen: Mapping[str, Any],
    fold: int | None,
    seed: int | None,
) -> tuple[Trial, list[str]]:
    given: dict[str, Any] = dict(file.settings)
    for name, value in chosen.items():
        given = merged(given, nested(name, value))
    options = given
    if seed is not None:
        options = merged(options, nested("training.seed", seed))
    if fold is not None:
        options = merged(options, nested(f"data.protocol_options.{_fold_option(given)}", fold))
    config, notices = resolve_request(
        TrainRequest(variant=variant, recipe=recipe, data=file.data, options=options)
    )
    if file.bounds.cpus is not None:
        config = merge(config, {"hardware": {"threads": file.bounds.cpus}})
    parts = [file.name, config.model.variant]
    parts += [f"f{fold}"] if fold is not None else []
    name = "-".join([*parts, f"s{config.training.seed}", _hash(config)])
    return Trial(name, chosen, given, fold, config), notices


def _fold_option(given: Mapping[str, Any]) -> str:
    protocol = given.get("data", {}).get("protocol") or prepare.DEFAULT_PROTOCOL
    if protocol not in _FOLD_OPTIONS:
        raise UsageError(
            f"`folds` must go with one of the protocols {', '.join(_FOLD_OPTIONS)}. Received: '{protocol}'.",
            hint="Leave `folds` out.",
        )
    return _FOLD_OPTIONS[protocol]


def _hash(config: RunConfig) -> str:
    document = config.as_dict()
    # The same trial on a larger machine is the same trial.
    del document["hardware"]["threads"]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def _metric(file: SweepFile, trials: Any) -> str:
    if file.metric is not None:
        return file.metric
    chosen = sorted({trial.config.training.select for trial in trials})
    if len(chosen) > 1 or not chosen[0].startswith("val_"):
        raise UsageError(
            f"`metric` must be given where recipes do not choose epochs by one validation score. Received: "
            f"{', '.join(chosen)}.",
            hint='For example: metric = "val_balanced_accuracy"',
        )
    return chosen[0]
