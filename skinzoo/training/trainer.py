"""The one service behind `skinzoo train`: from a configuration, or a run to go on with, to a finished run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.config import RunConfig
from skinzoo.data.splits import Split
from skinzoo.errors import DataError, SkinzooError, StoppedError, UsageError
from skinzoo.files import replacing
from skinzoo.home import runs_folder
from skinzoo.plugins import describe
from skinzoo.quiet import import_keras
from skinzoo.registry import registry
from skinzoo.settings import TrainingSettings
from skinzoo.specs import RecipeSpec
from skinzoo.training import prepare
from skinzoo.training.checks import check_settings
from skinzoo.training.environment import describe_environment
from skinzoo.training.group import ALONE, Group
from skinzoo.training.hardware import Hardware, restore_policy
from skinzoo.training.listener import Listener
from skinzoo.training.lock import locked
from skinzoo.training.loop import Loop, LoopState
from skinzoo.training.runs import (
    CARD_FILE,
    CLASSES_FILE,
    CONFIG_FILE,
    CURVES_FILE,
    ENVIRONMENT_FILE,
    FAILURE_FILE,
    FORMAT,
    MODEL_FILE,
    SPLIT_FILE,
    WEIGHTS_FILE,
    NoRoomError,
    RunFolder,
    check_name,
    create_run,
    new_name,
    no_room_was_left,
    on_full_disk,
)
from skinzoo.training.schedule import phases
from skinzoo.training.signals import StopRequest
from skinzoo.training.smaller import small_size, smaller
from skinzoo.training.trackers import make_trackers

if TYPE_CHECKING:
    import keras

    from skinzoo.model import ResolvedVariant

FEATURES = "Computing features"
INTENDED_USE = "Research and education. Not for diagnosis: no clinical evaluation has been made."


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A finished training.

    Args:
        run: The run directory.
        epochs: Epochs trained.
        best_epoch: The epoch whose weights `model.keras` holds, from 1.
        scores: Scores of that epoch.
        seconds: Time of all epochs.
        ended_early: Whether early stopping ended it.
    """

    run: Path
    epochs: int
    best_epoch: int
    scores: Mapping[str, float]
    seconds: float
    ended_early: bool


def train(
    config: RunConfig,
    *,
    folder: Path | None = None,
    name: str | None = None,
    trackers: Sequence[str] = (),
    listener: Listener | None = None,
) -> TrainingResult:
    """Train a new run.

    Args:
        config: The configuration.
        folder: Folder of runs; the usual one unless given.
        name: Name of the run; made of variant, recipe and time unless given.
        trackers: Names of `skinzoo.training.trackers.TRACKERS`.
        listener: Who is told of what happens.

    Raises:
        DataError: The data or the split cannot be used.
        UsageError: Settings that cannot be honoured.
        ModelError: The model cannot be built, or its loss is no longer finite.
        NoRoomError: The disk is full; the run is kept and can be gone on with.
        StoppedError: A signal asked to stop; the run can be gone on with.
    """
    listener = listener or Listener()
    _check_alone(config)
    run, cases, variant = begin(config, folder=folder, name=name, trackers=trackers, listener=listener)
    training = _Training(run, config, cases, variant, listener)
    with locked(run.path):
        try:
            return training.carry_out()
        except (StoppedError, NoRoomError):
            raise
        except SkinzooError:
            # What fails before its first step leaves nothing; later errors leave what --resume goes on with.
            if not training.in_loop:
                run.remove()
            raise


def begin(
    config: RunConfig,
    *,
    folder: Path | None = None,
    name: str | None = None,
    trackers: Sequence[str] = (),
    listener: Listener | None = None,
) -> tuple[RunFolder, prepare.Cases, ResolvedVariant]:
    """Make the run directory of a new training; arguments and errors as `train`.

    Returns:
        The run, its cases and its variant.
    """
    check_settings(config, trackers)
    name = name or new_name(config.model.variant, config.recipe)
    check_name(name)
    cases = prepare.read_cases(config)
    variant = prepare.resolve(config, cases)
    prepare.check_batch_size(config, len(cases.part("train")))
    import_keras()
    prepare.build_loss(config, cases)
    resolved = {
        "variant": variant.describe(),
        "decoding": prepare.decoding_of(config, variant.image_size).as_dict(),
        "dataset": cases.split.dataset,
        "trackers": list(trackers),
    }
    run = create_run(
        folder or runs_folder(),
        name,
        {
            CONFIG_FILE: {
                "format": FORMAT,
                "config": config.as_dict(),
                "recipe_hash": config.recipe_hash,
                "resolved": resolved,
            },
            ENVIRONMENT_FILE: describe_environment(),
            CLASSES_FILE: list(cases.classes),
        },
        split=cases.split,
    )
    if run.name != name and listener is not None:
        listener.notice(f"The name '{name}' is taken: this run is '{run.name}'.")
    return run, cases, variant


def resume(run: RunFolder, *, listener: Listener | None = None) -> TrainingResult:
    """Go on with a run from its newest checkpoint.

    Args:
        run: The run.
        listener: Who is told of what happens.

    Raises:
        UsageError: The run is finished, or in use by another process.
        DataError: The data are not those that the run began with.
        ModelError: Its files cannot be read.
        StoppedError: As `train`.
    """
    listener = listener or Listener()
    with locked(run.path):
        _check_alone(run.config())
        return go_on(run, listener=listener)


def go_on(run: RunFolder, *, listener: Listener, group: Group = ALONE) -> TrainingResult:
    """Go on with a run that the caller has locked; errors as `resume`.

    Args:
        run: The run.
        listener: Who is told of what happens.
        group: Processes that train it together, this one being one of them.
    """
    run.check_unfinished()
    config = run.config()
    check_settings(config, run.resolved()["trackers"], begun=True)
    cases = prepare.read_cases(config, Split.load(run.path / SPLIT_FILE))
    if cases.classes != run.classes():
        raise DataError(
            f"The data must have the classes of the run's model, {', '.join(run.classes())}. "
            f"Received: {', '.join(cases.classes)}."
        )
    if cases.differences:
        raise DataError(
            f"The data must be those that the run began with. Received: {' '.join(cases.differences)}",
            hint="Bring back the files and metadata of then, or train a new run.",
        )
    before, now = run.document(ENVIRONMENT_FILE)["packages"], describe_environment()["packages"]
    if changed := sorted(name for name in before if before[name] != now.get(name)):
        listener.notice(
            f"Warning: other versions than the run began with: {', '.join(changed)}. "
            "It may not go on exactly as it would have."
        )
    if group.chief:
        (run.path / FAILURE_FILE).unlink(missing_ok=True)
    variant = prepare.resolve(config, cases)
    return _Training(run, config, cases, variant, listener, group).carry_out()


def _check_alone(config: RunConfig) -> None:
    if config.hardware.workers > 1:
        raise UsageError(
            f"`hardware.workers` must be 1 to train in this process. Received: {config.hardware.workers}.",
            hint="Train on several with `skinzoo train`, or skinzoo.scale.training.train in Python.",
        )


class _Training:
    """One process's work on a run."""

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        cases: prepare.Cases,
        variant: ResolvedVariant,
        listener: Listener,
        group: Group = ALONE,
    ) -> None:
        self.run = run
        self.config = config
        self.cases = cases
        self.variant = variant
        self.listener = listener
        self.group = group
        self.in_loop = False
        self._close: Callable[[], None] = lambda: None

    def carry_out(self) -> TrainingResult:
        began = time.monotonic()
        import_keras()
        parts, cases = prepare.part_notices(self.variant), prepare.case_notices(self.cases, self.config)
        for notice in (*parts, *cases):
            self.listener.notice(notice)
        hardware = prepare.hardware_of(self.config, self.group)
        if hardware.left_out and self.group.size == 1:
            self.listener.notice(
                f"Method '{self.config.training.method}' trains on one device, {hardware.devices[0]}; "
                f"{', '.join(hardware.left_out)} stays idle."
            )
        try:
            with StopRequest(self.listener.notice) as stop:
                return self._train(hardware, stop, began)
        except KeyboardInterrupt:
            raise StoppedError(f"Stopped at once. {self._kept()}", hint=self._go_on()) from None
        except SkinzooError as error:
            if no_room_was_left(error):
                hint = f"{self._kept()} Make room. {self._go_on()}"
                raise NoRoomError(error.message, hint=hint) from error
            raise
        finally:
            self._close()
            restore_policy()

    def _kept(self) -> str:
        """Say in a sentence what a training that ends here leaves."""
        checkpoint = self.run.checkpoints.latest()
        if checkpoint is None:
            return f"The run '{self.run.name}' is kept; none of its steps is saved yet."
        epoch, step = checkpoint.state["epoch"], checkpoint.state["step"]
        done = f"the first {step} of epoch {epoch + 1}" if step else f"all of epoch {epoch}"
        return f"The run '{self.run.name}' is kept; of its steps {done} and those before are saved."

    def _go_on(self) -> str:
        return f"Go on with: skinzoo train --resume {self.run.path}"

    def _train(self, hardware: Hardware, stop: StopRequest, began: float) -> TrainingResult:
        from skinzoo.model import count_parameters

        images = prepare.load_images(
            self.config,
            self.cases,
            self.variant.image_size,
            self._progress("Decoding images", stop),
        )
        checkpoint = self.run.checkpoints.latest()
        config, going_on = self.config, checkpoint is not None
        if going_on and config.training.method == "finetune":
            # The checkpoint holds every weight.
            config = config.changed("model", weights="none")
        with hardware.strategy.scope():
            model, weights, notices = prepare.build(config, self.variant, self.cases)
            loss, class_weights = prepare.build_loss(self.config, self.cases)
        weights = self._settled(weights, going_on)
        for notice in notices:
            self.listener.notice(notice)
        pretrained = weights["origin"] != "none"
        if not pretrained and (notice := _without_weights(self.config.training)):
            self.listener.notice(notice)
        source = self._source(model, images, hardware, stop)
        self._close = source.close
        plan = phases(self.config, pretrained=pretrained, small=source.small is not None)
        trackers = make_trackers(
            self.run.resolved()["trackers"] if self.group.chief else (),
            self.run,
            self.config.as_dict(),
            self.listener.notice,
        )
        loop = Loop(
            self.run,
            self.config,
            source,
            plan,
            loss=loss,
            hardware=hardware,
            callbacks=[c for plugin in registry().plugins for c in plugin.callbacks(self.run.path)]
            + trackers,
            listener=self.listener,
            stop=stop,
            group=self.group,
        )
        self.listener.began(
            {
                "run": str(self.run.path),
                "variant": self.variant.describe(),
                "recipe": self.config.recipe,
                "cases": {name: sum(c.values()) for name, c in self.cases.split.counts.items()},
                "steps": source.train.steps_per_epoch,
                "epochs": self.config.training.epochs,
                "parameters": count_parameters(model).total,
                "weights": weights["origin"],
                "before": None
                if checkpoint is None
                else (checkpoint.state["epoch"], checkpoint.state["step"]),
                **hardware.describe(),
            }
        )
        self.in_loop = True
        try:
            state = loop.carry_out()
        except BaseException:
            for tracker in trackers:
                tracker.broken_off()
            raise
        assert state.best.epoch is not None
        if not self.group.chief:
            return self._result(state)
        source.model.set_weights(loop.store.best(state.best.epoch))
        self._write_model(model)
        result = self._result(state)
        self._write_card(result, state, hardware, weights, class_weights, count_parameters(model), began)
        loop.store.prune()
        return result

    def _settled(self, weights: dict[str, Any], going_on: bool) -> dict[str, Any]:
        """Return where the weights of the first step came from, whatever can be had now."""
        if going_on:
            settled: dict[str, Any] = self.run.document(WEIGHTS_FILE)
            return settled
        if self.group.chief:
            self.run.write(WEIGHTS_FILE, weights)
        return weights

    def _progress(self, what: str, stop: StopRequest) -> Callable[[int, int], None]:
        check = self._unless_stopped(what, stop)

        def report(done: int, total: int) -> None:
            self.listener.prepared(what, done, total)
            check()

        return report

    def _unless_stopped(self, what: str, stop: StopRequest) -> Callable[[], None]:
        def check() -> None:
            if stop:
                raise StoppedError(
                    f"Stopped before the first step: {what.lower()} was not done.",
                    hint=self._go_on(),
                )

        return check

    def _source(self, model: keras.Model, images: Any, hardware: Hardware, stop: StopRequest) -> Any:
        from skinzoo.training.features import feature_source
        from skinzoo.training.source import Source

        labels = prepare.one_hot(images.usable(self.cases.part("validation")), self.cases.classes)
        with hardware.strategy.scope():
            small, reason = smaller(self.config, self.variant, model)
        if reason:
            self.listener.notice(reason)
        if self.config.training.method != "finetune":
            with hardware.strategy.scope():
                return feature_source(
                    self.config,
                    self.cases,
                    self.variant,
                    model,
                    images,
                    labels,
                    lambda done, total: self.listener.prepared(FEATURES, done, total),
                    self._unless_stopped(FEATURES, stop),
                )
        train = prepare.training_batches(
            self.config, self.cases, images, replicas=hardware.replicas, group=self.group
        )
        validation = prepare.validation_batches(self.config, self.cases, images, group=self.group)
        source = Source(model, train, validation, labels, len(train.rows_of_epoch(0)))
        if small is None:
            return source
        size = small_size(self.config, self.variant)
        return replace(
            source,
            small=replace(
                source, model=small, train=train.smaller(size), validation=validation.smaller(size)
            ),
        )

    def _write_model(self, model: keras.Model) -> None:
        """Write the best weights as a float32 model without an optimiser."""
        from skinzoo.model import build_model

        restore_policy()
        final, _ = build_model(self.variant, weights="none")
        final.set_weights(model.get_weights())
        with on_full_disk(self.run.path), replacing(self.run.path / MODEL_FILE) as temporary:
            final.save(temporary)

    def _result(self, state: LoopState) -> TrainingResult:
        row = next(row for row in state.history if row["epoch"] == state.best.epoch)
        return TrainingResult(
            run=self.run.path,
            epochs=len(state.history),
            best_epoch=row["epoch"],
            scores={name: value for name, value in row.items() if name.startswith("val_")},
            seconds=sum(one["seconds"] for one in state.history),
            ended_early=state.ended,
        )

    def _write_card(
        self,
        result: TrainingResult,
        state: LoopState,
        hardware: Hardware,
        weights: Mapping[str, Any],
        class_weights: tuple[float, ...] | None,
        parameters: Any,
        began: float,
    ) -> None:
        from skinzoo.training.curves import draw_curves

        self.run.write_history(state.history)
        try:
            draw_curves(state.history, self.run.path / CURVES_FILE, best=result.best_epoch)
        except (OSError, ValueError) as error:
            self.listener.notice(f"The learning curves could not be drawn: {describe(error)}")
        split = self.cases.split
        recipe = registry().get(RecipeSpec, self.config.recipe)
        card = {
            "format": FORMAT,
            "name": self.run.name,
            "intended_use": INTENDED_USE,
            "variant": self.variant.describe(),
            "classes": list(self.cases.classes),
            "parameters": {"trainable": parameters.trainable, "total": parameters.total},
            "weights": dict(weights),
            "recipe": self.config.recipe,
            "recipe_hash": self.config.recipe_hash,
            "recipe_not_stated": list(recipe.not_stated),
            "dataset": split.dataset,
            "split": {
                "protocol": split.protocol,
                "seed": split.seed,
                "hash": split.hash,
                "stamps": list(split.stamps),
                "warnings": list(split.warnings),
                "counts": {part: dict(counts) for part, counts in split.counts.items()},
            },
            "left_out": list(self.cases.table.attrs["left_out"]),
            "decoding": self.run.resolved()["decoding"],
            "class_weights": None if class_weights is None else list(class_weights),
            "seed": self.config.training.seed,
            "deterministic": self.config.hardware.deterministic,
            "hardware": hardware.describe(),
            "environment": describe_environment(),
            "selection": self.config.training.select,
            "best_epoch": result.best_epoch,
            "epochs": result.epochs,
            "ended_early": result.ended_early,
            "scores": dict(result.scores),
            "seconds": round(result.seconds, 1),
            "seconds_of_last_process": round(time.monotonic() - began, 1),
        }
        self.run.write(CARD_FILE, json.loads(json.dumps(card)))


def _without_weights(training: TrainingSettings) -> str:
    if training.method != "finetune" or training.freeze_backbone:
        what = "`freeze_backbone`" if training.method == "finetune" else f"method '{training.method}'"
        return (
            f"Warning: {what} keeps the backbone as it is, and here its weights are random: "
            "scores will be poor."
        )
    if training.head_epochs:
        return "The backbone begins with random weights, so all layers are trained from the first epoch."
    return ""
