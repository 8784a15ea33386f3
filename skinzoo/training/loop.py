"""The loop: steps, validation, checkpoints; the same from the start and from any checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.config import RunConfig
from skinzoo.errors import ModelError, StoppedError
from skinzoo.training.group import ALONE, Group
from skinzoo.training.hardware import Hardware
from skinzoo.training.listener import Listener, StepReport
from skinzoo.training.normalisation import Reestimation, override_momentum, running_statistics
from skinzoo.training.optimizers import build_optimizer
from skinzoo.training.pace import Pace
from skinzoo.training.runs import FAILURE_FILE, RunFolder
from skinzoo.training.schedule import HEAD, Phase
from skinzoo.training.scores import classification_scores, cross_entropy
from skinzoo.training.signals import StopRequest
from skinzoo.training.source import Source
from skinzoo.training.watch import Watch

if TYPE_CHECKING:
    import keras

BACKBONE = "backbone"


@dataclass
class LoopState:
    """Everything that a training remembers beside its variables.

    Args:
        epoch: Epoch that is being trained, from 0.
        step: Steps of it that are done.
        history: Rows of the epochs done.
        best: Watch of what chooses the best epoch.
        stopping: Watch of early stopping.
        plateau: Watch of the plateau.
        factor: What plateaus have multiplied the learning rate by.
        epoch_seconds: Seconds spent on the epoch so far.
        ended: Whether early stopping ended the training.
        optimizer_since: First epoch of the phase whose optimiser was saved.
    """

    best: Watch
    stopping: Watch
    plateau: Watch
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    factor: float = 1.0
    epoch_seconds: float = 0.0
    ended: bool = False
    optimizer_since: int = 0

    @classmethod
    def fresh(cls, config: RunConfig) -> LoopState:
        """Return the state before the first step."""
        training = config.training
        return cls(
            best=Watch(training.select),
            stopping=Watch(training.stop_monitor, training.min_delta),
            plateau=Watch(config.schedule.monitor, config.schedule.min_delta),
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> LoopState:
        """Read a state back from `as_dict`."""
        watches = {name: Watch(**document[name]) for name in ("best", "stopping", "plateau")}
        return cls(**{**document, **watches})

    def as_dict(self) -> dict[str, Any]:
        """Return the state in JSON's types."""
        return asdict(self)


class Loop:
    """Trains a source through its phases.

    Args:
        run: Where checkpoints and history go.
        config: The configuration.
        source: Model and batches.
        phases: Phases in order.
        loss: The loss of the training steps.
        hardware: What it runs on.
        callbacks: Keras callbacks of plugins.
        listener: Who is told.
        stop: Whether to stop.
        group: Processes that train together.
    """

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        source: Source,
        phases: tuple[Phase, ...],
        *,
        loss: keras.losses.Loss,
        hardware: Hardware,
        callbacks: list[keras.callbacks.Callback],
        listener: Listener,
        stop: StopRequest,
        group: Group = ALONE,
    ) -> None:
        self.run = run
        self.config = config
        self.source = source
        self._now = source
        self.phases = phases
        self.loss = loss
        self.hardware = hardware
        self.listener = listener
        self.stop = stop
        self.group = group
        self.store = run.checkpoints
        self.state = LoopState.fresh(config)
        self.steps = source.train.steps_per_epoch
        self._callbacks = _callback_list(callbacks, self.model)
        self._batches: Iterator[Any]
        self._phase: Phase
        self._saved_at = time.monotonic()
        self._reported_at = -math.inf
        self._validation_seconds: float | None = None
        self._pace = Pace()
        self._optimizer: Any = None
        self._optimizer_since = 0

    @property
    def model(self) -> keras.Model:
        """The model that is trained now; those for whole and smaller images have the same variables."""
        return self._now.model

    def carry_out(self) -> LoopState:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            StoppedError: A signal asked to stop; the state is saved.
            ModelError: The loss is no longer finite, or a checkpoint cannot be written or read.
        """
        checkpoint = self.store.latest()
        if checkpoint is not None:
            self.state = LoopState.from_dict(checkpoint.state)
        first = True
        for phase in self.phases:
            if self.state.ended or self.state.epoch >= phase.stop:
                continue
            self._enter(phase)
            if checkpoint is not None:
                self._restore(
                    checkpoint.variables(), with_optimizer=self.state.optimizer_since == phase.since
                )
                checkpoint = None
            if first:
                self.group.same(self.model.variables)
            self.state.optimizer_since = phase.since
            if first:
                self._callbacks.on_train_begin()
                first = False
            self._train_phase(phase)
        if not first:
            self._callbacks.on_train_end()
        return self.state

    def begin(self, phase: Phase) -> None:
        """Enter a phase from its first epoch, for whoever wants single epochs' steps."""
        self._enter(phase)
        self.state.epoch = phase.start
        self._batches = self._iterator(phase.start, 0)
        self._phase = phase

    def steps_of_epoch(self) -> dict[str, float]:
        """Make the steps of the next epoch, without validation, and return loss and accuracy."""
        results = self._steps_of_epoch(self._phase)
        self.state.epoch, self.state.step, self.state.epoch_seconds = self.state.epoch + 1, 0, 0.0
        return results

    def _enter(self, phase: Phase) -> None:
        self._now = self.source
        if phase.small:
            assert self.source.small is not None
            self._now = self.source.small
        with self.hardware.strategy.scope():
            self._compile(phase)

    def _compile(self, phase: Phase) -> None:
        import keras

        training = self.config.training
        backbone = next((layer for layer in self.model.layers if layer.name == BACKBONE), None)
        if backbone is not None:
            backbone.trainable = phase.name != HEAD
            if training.batch_norm == "frozen":
                _freeze_statistics(backbone)
        if training.batch_norm == "momentum":
            override_momentum(self.model, training.batch_norm_momentum)
        self.model.compile(
            optimizer=self._optimizer_of(phase),
            loss=self.loss,
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=self.config.hardware.xla,
        )
        # What the first step would build is built now, so that a checkpoint can be read into it.
        self._optimizer = self.model.optimizer
        self._optimizer.build(self.model.trainable_variables)
        labels = self.source.labels[:1]
        for metric in self.model.metrics:
            if not getattr(metric, "built", True):
                metric.build(labels, labels)
        self.model.make_train_function()
        self._reestimate = Reestimation(self.model)
        self._pace = Pace()
        self._validation_seconds = None

    def _optimizer_of(self, phase: Phase) -> keras.optimizers.Optimizer:
        if self._optimizer is None or self._optimizer_since != phase.since:
            self._optimizer_since = phase.since
            return self.group.sharing(
                build_optimizer(self.config.optimizer, phase.learning_rate, replicas=self.hardware.replicas)
            )
        return self._optimizer

    def _train_phase(self, phase: Phase) -> None:
        self._batches = self._iterator(self.state.epoch, self.state.step)
        while self.state.epoch < phase.stop and not self.state.ended:
            self._train_epoch(phase)

    def _iterator(self, epoch: int, step: int) -> Iterator[Any]:
        dataset = self._now.train.epochs(epoch, None, first_step=step)
        if self.hardware.replicas > 1:
            dataset = self.hardware.strategy.experimental_distribute_dataset(dataset)
        return iter(dataset)

    def _train_epoch(self, phase: Phase) -> None:
        began = time.monotonic() - self.state.epoch_seconds
        results = self._steps_of_epoch(phase)
        rate = phase.rate(self.state.epoch, self.steps - 1, self.steps, self.state.factor)
        self._end_epoch(phase, results, rate, began)

    def _steps_of_epoch(self, phase: Phase) -> dict[str, float]:
        state = self.state
        if state.step == 0:
            self.model.reset_metrics()
        self._callbacks.on_epoch_begin(state.epoch)
        began = time.monotonic() - state.epoch_seconds
        logs: dict[str, Any] = {}
        self._pace.begin()
        while state.step < self.steps:
            self.model.optimizer.learning_rate = phase.rate(state.epoch, state.step, self.steps, state.factor)
            self.source.wait(state.epoch, state.step, self._stop_if_asked)
            self._callbacks.on_train_batch_begin(state.step)
            logs = self.model.train_function(self._batches)
            self._callbacks.on_train_batch_end(state.step, logs)
            state.step += 1
            state.epoch_seconds = time.monotonic() - began
            self._pace.stepped()
            self.group.stepped()
            self._report(phase, logs)
            if self._asked_to_stop():
                self._stop_now()
            if time.monotonic() - self._saved_at >= 60 * self.config.training.checkpoint_minutes:
                self._save()
        self.group.add_up(list(self.model.metrics_variables))
        # After a checkpoint behind the last step there are no logs; the metrics hold what they would say.
        results = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        self._check(results["loss"])
        return results

    def _end_epoch(self, phase: Phase, results: Mapping[str, float], rate: float, began: float) -> None:
        state = self.state
        validation_began = time.monotonic()
        row: dict[str, Any] = {
            "epoch": state.epoch + 1,
            "phase": phase.name,
            "learning_rate": rate,
            "loss": results["loss"],
            "accuracy": results["accuracy"],
            **self._validate(state.epoch),
        }
        now = time.monotonic()
        self._validation_seconds = now - validation_began
        row["seconds"] = round(now - began, 3)
        row["images_per_second"] = round(self.source.cases / max(state.epoch_seconds, 1e-9), 2)
        if not math.isfinite(row["val_loss"]):
            self._fail("The validation loss", row["val_loss"])
        state.history.append(row)
        best = False
        if not phase.small:
            # Scores on smaller images tell nothing of the model that is kept.
            best = state.best.update(row)
            state.stopping.update(row)
            state.plateau.update(row)
            self._lower_rate_at_plateau(phase)
        patience = self.config.training.patience
        state.ended = patience is not None and state.stopping.wait >= patience
        if best and self.group.chief:
            self.store.save_best(state.epoch + 1, self.model.get_weights())
        state.epoch, state.step, state.epoch_seconds = state.epoch + 1, 0, 0.0
        self._callbacks.on_epoch_end(row["epoch"] - 1, {k: v for k, v in row.items() if k != "phase"})
        # Keras sets it on the model of the callbacks, and only where that is compiled.
        state.ended = state.ended or bool(getattr(self.source.model, "stop_training", False))
        self._save()
        if self.group.chief:
            self.run.write_history(state.history)
        self.listener.epoch_ended(row, best)
        if self._asked_to_stop() and state.epoch < self.phases[-1].stop and not state.ended:
            raise self._stopped()

    def _lower_rate_at_plateau(self, phase: Phase) -> None:
        if phase.schedule.name == "plateau" and self.state.plateau.wait >= phase.schedule.patience:
            lowest = phase.schedule.minimum / phase.learning_rate
            self.state.factor = max(self.state.factor * phase.schedule.factor, min(lowest, 1.0))
            self.state.plateau.wait = 0

    def _validate(self, epoch: int) -> dict[str, float]:
        if self.config.training.batch_norm == "reestimate":
            count = self.config.training.reestimate_batches
            batches = self._now.train.epochs(epoch, epoch + 1).take(count)
            self._reestimate(batch[0] for batch in batches)
        self.group.average(running_statistics(self.model))
        labels = self.source.labels
        probabilities = self.model.predict(self._now.validation.epochs(0, 1), verbose=0)
        probabilities = self.group.put_together(probabilities, len(labels))
        loss = cross_entropy(labels, probabilities)
        scores = classification_scores(labels.argmax(axis=1), probabilities) if math.isfinite(loss) else {}
        return {"val_loss": loss} | {f"val_{name}": value for name, value in scores.items()}

    def _report(self, phase: Phase, logs: Mapping[str, Any]) -> None:
        now = time.monotonic()
        state = self.state
        last = state.step == self.steps
        if not last and now - self._reported_at < self.listener.report_seconds:
            return
        self._reported_at = now
        loss = float(logs["loss"])
        self._check(loss)
        per_step = self._pace.seconds_per_step
        self.listener.stepped(
            StepReport(
                epoch=state.epoch + 1,
                epochs=self.phases[-1].stop,
                step=state.step,
                steps=self.steps,
                phase=phase.name,
                images_per_second=per_step and self.source.cases / self.steps / per_step,
                loss=loss,
                accuracy=float(logs["accuracy"]),
                seconds_left=self._seconds_left(phase, per_step),
            )
        )

    def _seconds_left(self, phase: Phase, per_step: float | None) -> float | None:
        if per_step is None or phase is not self.phases[-1]:
            # A later phase trains more layers, at a pace that nobody knows yet.
            return None
        validation = self._validation_seconds
        if validation is None:
            # A step goes forwards and backwards, which takes about as long as three times forwards.
            share = len(self.source.labels) / (self.source.cases / self.steps)
            validation = share * per_step / 3
        epochs = phase.stop - self.state.epoch
        return (epochs * self.steps - self.state.step) * per_step + epochs * validation

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            self._fail("The loss", loss)

    def _fail(self, what: str, value: float) -> None:
        where = f"epoch {self.state.epoch + 1}, step {self.state.step}"
        message = f"{what} must be finite. Received: {value} in {where}."
        if self.group.chief:
            self.run.write(FAILURE_FILE, {"message": message})
        kept = self.state.best.epoch
        keeps = f"The best epoch so far, {kept}, is kept in {self.store.folder}. " if kept else ""
        raise ModelError(
            message,
            hint=f"{keeps}Train anew with a lower --set optimizer.learning_rate=, with "
            "--set optimizer.clip_norm=1, or with --precision float32.",
        )

    def _asked_to_stop(self) -> bool:
        # Several processes stop after the same step or wait for each other forever.
        return bool(self.stop) if self.group.size == 1 else self.group.stopping

    def _stop_if_asked(self) -> None:
        if self.stop:
            self._stop_now()

    def _stop_now(self) -> None:
        self.group.add_up(list(self.model.metrics_variables))
        self._save()
        raise self._stopped()

    def _stopped(self) -> StoppedError:
        epoch, step = self.state.epoch, self.state.step
        where = f"in epoch {epoch + 1} after step {step}" if step else f"after epoch {epoch}"
        return StoppedError(
            f"Stopped {where}; everything is saved.",
            hint=f"Go on with: skinzoo train --resume {self.run.path}",
        )

    def _variables(self) -> dict[str, list[Any]]:
        return {
            "model": list(self.model.variables),
            "metrics": list(self.model.metrics_variables),
            "optimizer": list(self.model.optimizer.variables),
        }

    def _save(self) -> None:
        import keras

        arrays = {
            group: [keras.ops.convert_to_numpy(variable) for variable in variables]
            for group, variables in self._variables().items()
        }
        if not all(np.isfinite(array).all() for array in arrays["model"] if array.dtype.kind == "f"):
            self._fail("Every weight", math.nan)
        if self.group.chief:
            self.store.save(self.state.as_dict(), arrays)
        self._saved_at = time.monotonic()

    def _restore(self, arrays: Mapping[str, list[np.ndarray]], *, with_optimizer: bool) -> None:
        for group, variables in self._variables().items():
            if group == "optimizer" and not with_optimizer:
                # The checkpoint ended a phase; the next one begins with an optimiser of its own.
                continue
            stored = arrays.get(group, [])
            if group == "metrics" and not self.group.chief:
                # Those of all processes together are added up; what is restored must count once.
                stored = [np.zeros_like(array) for array in stored]
            if [tuple(v.shape) for v in variables] != [array.shape for array in stored]:
                raise ModelError(
                    f"A checkpoint must fit the run's model. Received: {self.store.folder}, whose {group} "
                    f"variables have other shapes.",
                    hint="Go on with the versions that the run began with: see its environment.json.",
                )
            for variable, array in zip(variables, stored, strict=True):
                variable.assign(array)


def _callback_list(
    callbacks: list[keras.callbacks.Callback], model: keras.Model
) -> keras.callbacks.CallbackList:
    import keras

    return keras.callbacks.CallbackList(callbacks, model=model)


def _freeze_statistics(backbone: keras.Model) -> None:
    from skinzoo.training.normalisation import batch_normalisations

    for layer in batch_normalisations(backbone):
        layer.trainable = False
