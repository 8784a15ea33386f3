"""Sending the history elsewhere as it grows: TensorBoard and MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from skinzoo.errors import UsageError, one_of
from skinzoo.extras import require
from skinzoo.plugins import describe
from skinzoo.training.runs import TENSORBOARD_FOLDER, RunFolder

MLFLOW_FILE = "mlflow.json"


def check_trackers(names: Sequence[str], *, reach: bool = True) -> None:
    """Check that trackers can be had.

    Args:
        names: Names of trackers.
        reach: Whether a store that they need must be within reach.

    Raises:
        UsageError: An unknown tracker, or one whose store cannot be reached.
        MissingExtraError: Its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise one_of("trackers", name, TRACKERS)
        if name == "mlflow":
            mlflow = require("mlflow", extra="mlflow", purpose="--mlflow")
            if reach:
                _reach_mlflow(mlflow)


def _reach_mlflow(mlflow: ModuleType) -> None:
    try:
        mlflow.MlflowClient().search_experiments(max_results=1)
    except Exception as error:
        raise UsageError(
            f"--mlflow must reach MLflow's tracking store. Received: {describe(error)}",
            hint="Set MLFLOW_TRACKING_URI, for example to sqlite:///mlflow.db",
        ) from error


def make_trackers(
    names: Sequence[str], run: RunFolder, settings: Mapping[str, Any], notice: Callable[[str], None]
) -> list[Tracker]:
    """Return a Keras callback for each tracker.

    Args:
        names: Names of trackers.
        run: The run.
        settings: The run's configuration.
        notice: Takes a sentence that the user should read.
    """
    return [TRACKERS[name](run, settings, notice) for name in names]


class Tracker(Protocol):
    """A Keras callback that is also told when a training ends before its time."""

    def broken_off(self) -> None:
        """Take that the training has stopped or failed; it may be gone on with."""


def _tensorboard(run: RunFolder, settings: Mapping[str, Any], notice: Callable[[str], None]) -> Tracker:
    import keras
    import tensorflow as tf

    class TensorBoardTracker(keras.callbacks.Callback):
        """Writes each epoch's numbers as scalars."""

        def __init__(self, folder: Path) -> None:
            super().__init__()
            self.writer = tf.summary.create_file_writer(str(folder))
            # What `tf.summary.scalar` writes; that function itself needs the package tensorboard.
            self.metadata = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
            self.metadata.plugin_data.plugin_name = "scalars"

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            with self.writer.as_default():
                for name, value in (logs or {}).items():
                    tf.summary.write(name, tf.constant(value, tf.float32), epoch + 1, self.metadata)
            self.writer.flush()

        def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
            self.broken_off()

        def broken_off(self) -> None:
            self.writer.close()

    return TensorBoardTracker(run.path / TENSORBOARD_FOLDER)


def _mlflow(run: RunFolder, settings: Mapping[str, Any], notice: Callable[[str], None]) -> Tracker:
    import keras

    mlflow = require("mlflow", extra="mlflow", purpose="--mlflow")

    class MlflowTracker(keras.callbacks.Callback):
        """Sends settings and each epoch's numbers to one MLflow run, whatever the number of processes."""

        def __init__(self) -> None:
            super().__init__()
            self.lost = False

        def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
            self._send(self._start)

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self._send(lambda: mlflow.log_metrics(dict(logs or {}), step=epoch + 1))

        def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
            self._send(mlflow.end_run)

        def broken_off(self) -> None:
            self._send(lambda: mlflow.end_run("KILLED"))

        def _start(self) -> None:
            if (run.path / MLFLOW_FILE).exists():
                mlflow.start_run(run_id=run.document(MLFLOW_FILE)["run_id"])
                return
            active = mlflow.start_run(run_name=run.name)
            run.write(MLFLOW_FILE, {"run_id": active.info.run_id})
            for section, values in settings.items():
                if isinstance(values, Mapping):
                    mlflow.log_params({f"{section}.{key}": value for key, value in values.items()})
            mlflow.log_param("recipe", settings["recipe"])

        def _send(self, action: Callable[[], Any]) -> None:
            # A training must not end because of its log, whatever a server or its client raises.
            try:
                if not self.lost:
                    action()
            except Exception as error:
                self.lost = True
                notice(f"Warning: MLflow failed, and the training goes on without it: {describe(error)}")

    return MlflowTracker()


TRACKERS: Mapping[str, Callable[[RunFolder, Mapping[str, Any], Callable[[str], None]], Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
}
