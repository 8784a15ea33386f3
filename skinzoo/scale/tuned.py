"""Trials at a time through Ray Tune: reserved resources, ASHA, and workers that may be killed.

Imported where Ray is wanted only, and after `connect`. A worker of Ray does not train: it starts the same
process as a sweep without Ray does, and passes its epochs on. So results are the same, memory is bounded in
the same way, and a process that is killed costs what it did since its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from skinzoo.errors import UsageError
from skinzoo.files import write_json
from skinzoo.scale.outcomes import STOPPED_EARLY, STOPPED_FILE, Outcome
from skinzoo.scale.progress import Progress
from skinzoo.scale.sweep_file import Bounds
from skinzoo.scale.trials import Trial
from skinzoo.scale.watched import CRASHES, TrialProcess
from skinzoo.settings import MONITORS
from skinzoo.training.runs import FAILED, FINISHED, RunFolder
from skinzoo.training.signals import StopRequest

LOG_FILE = "ray.log"
_LOOK_SECONDS = 1.0
_QUIET = {
    # Its loggers and files say again what the run directories hold.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A worker answers before its first epoch is done, so that it can be stopped.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Ours stops the trials, who save their state.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def run_trials(ray: Any, trials: Sequence[Trial], kept: Sequence[Outcome], progress: Progress) -> None:
    """Carry trials out, as many at a time as there is room for.

    Args:
        ray: The connected module.
        trials: Those to carry out.
        kept: What was settled before; its epochs are what ASHA compares with.
        progress: Who is told.

    Raises:
        UsageError: No machine of the cluster has what one trial may use.
        StoppedError: A signal asked to stop.
    """
    os.environ.update(_QUIET)
    file = progress.sweep.file
    resources = _resources(ray, file.bounds)
    waits = file.asha is not None
    work = [
        {"job": progress.job(one, waits=waits, threads=file.bounds.cpus or 1), "replay": waits, "train": True}
        for one in trials
    ]
    if waits:
        earlier = [one.trial for one in kept if one.state in (FINISHED, STOPPED_EARLY)]
        work[:0] = [{"job": progress.job(one), "replay": True, "train": False} for one in earlier]
    # On a cluster of several machines it lies where all of them see the runs.
    storage = progress.sweep.own_folder.absolute() / "ray"
    with StopRequest(progress.listener.notice) as stop:
        tuner = tune.Tuner(
            tune.with_resources(_Worker, resources),
            param_space={"work": tune.grid_search(work), "metric": progress.metric},
            tune_config=tune.TuneConfig(
                scheduler=_scheduler(progress),
                max_concurrent_trials=file.bounds.at_once,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(storage),
                stop=_Stopper(stop),
                # Runs have checkpoints of their own.
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=CRASHES),
                callbacks=[_Callback(progress, {one.name: one for one in trials})],
                verbose=0,
            ),
        )
        try:
            with _logged(progress.sweep.own_folder / "logs" / LOG_FILE):
                tuner.fit()
        except KeyboardInterrupt:
            raise progress.stopped() from None
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        if stop:
            raise progress.stopped()
    for one in trials:
        if one.name not in progress.settled:
            progress.take(
                one, {"end": FAILED, "message": f"Ray Tune did not carry it out (see logs/{LOG_FILE})."}
            )


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Write into a file what Ray Tune prints and logs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    log = logging.getLogger("ray.tune")
    before = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        with path.open("a", encoding="utf-8") as stream, redirect_stdout(stream):
            yield
    finally:
        log.propagate = before
        log.removeHandler(handler)
        handler.close()


class _Worker(tune.Trainable):
    """Starts a trial's process and passes its epochs on."""

    def setup(self, config: dict[str, Any]) -> None:
        work, self._metric = config["work"], config["metric"]
        job = work["job"]
        self._waits = job["waits"]
        self._waiting = False
        self._last: dict[str, Any] = {}
        history = RunFolder(Path(job["folder"], job["name"])).history() if work["replay"] else []
        self._rows = deque(history)
        self._job = job if work["train"] else None
        self._process: TrialProcess | None = None

    def step(self) -> dict[str, Any]:
        if self._rows:
            return self._epoch(self._rows.popleft())
        if self._job is None:
            return {**self._last, "done": True}
        if self._process is None:
            self._process = TrialProcess(self._job)
        if self._waiting:
            self._process.go_on()
            self._waiting = False
        event = self._process.next(_LOOK_SECONDS)
        if event is None:
            return self._last
        if "epoch" in event:
            self._waiting = self._waits
            return {**self._epoch(event["epoch"]), "event": event}
        return {**self._last, "event": event, "done": "end" in event}

    def cleanup(self) -> None:
        if self._process is not None:
            # One that waits has saved its epoch.
            self._process.close(at_once=self._waiting)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: the trial's process goes on from the checkpoints of its run."""

    def _epoch(self, row: Mapping[str, Any]) -> dict[str, Any]:
        self._last = {"epoch": int(row["epoch"]), self._metric: float(row[self._metric])}
        return self._last


class _Stopper(tune.Stopper):
    """Stops all trials when a signal asks to."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._stop)


class _Callback(tune.Callback):
    """Tells of epochs and ends, each once."""

    def __init__(self, progress: Progress, trials: Mapping[str, Trial]) -> None:
        self._progress = progress
        self._trials = trials
        self._ended: set[str] = set()

    def on_trial_result(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, result: dict[str, Any], **info: Any
    ) -> None:
        event, name = result.get("event"), _name(trial)
        if event and name in self._trials:
            if "end" in event:
                self._ended.add(name)
            self._progress.take(self._trials[name], event)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        name = _name(trial)
        if name in self._trials and name not in self._ended:
            # ASHA or a signal ended it.
            self._progress.ended(self._trials[name])

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        name = _name(trial)
        if name in self._trials:
            message = f"Its worker of Ray was lost {trial.num_failures} times (see logs/{LOG_FILE})."
            self._progress.take(self._trials[name], {"end": FAILED, "message": message})


class _Asha(ASHAScheduler):
    """Notes in the run of a trial that it was stopped."""

    progress: Progress

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if decision != TrialScheduler.STOP:
            return decision
        work = trial.config["work"]
        run = RunFolder(Path(work["job"]["folder"], work["job"]["name"]))
        epochs = run.config().training.epochs if work["train"] else 0
        if result["epoch"] >= epochs:
            # Nothing is left to be saved by stopping it.
            return str(TrialScheduler.CONTINUE)
        metric = self.progress.metric
        write_json(
            run.path / STOPPED_FILE,
            {
                "sweep": self.progress.sweep.file.name,
                "epoch": result["epoch"],
                "metric": metric,
                "value": result[metric],
            },
        )
        return decision


def _scheduler(progress: Progress) -> TrialScheduler:
    asha = progress.sweep.file.asha
    if asha is None:
        return FIFOScheduler()
    longest = max(one.config.training.epochs for one in progress.sweep.trials.all)
    scheduler = _Asha(
        time_attr="epoch",
        metric=progress.metric,
        mode=MONITORS[progress.metric],
        # Beyond the last epoch, which ends a trial by itself.
        max_t=max(longest, asha.grace_epochs) + 1,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.reduction_factor,
    )
    scheduler.progress = progress
    return scheduler


def _resources(ray: Any, bounds: Bounds) -> dict[str, float]:
    gpus = bounds.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
    wanted = {"CPU": float(bounds.cpus or 1), "GPU": gpus, "memory": (bounds.memory or 0.0) * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(key, 0.0) >= value for key, value in wanted.items()) for node in nodes):
        have = "; ".join(
            f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs, "
            f"{node.get('memory', 0) / 2**30:.1f} GiB"
            for node in nodes
        )
        raise UsageError(
            f"[bounds] must fit a machine of the Ray cluster: {have}. Received: {wanted['CPU']:g} CPUs, "
            f"{gpus:g} GPUs, {bounds.memory or 0:g} GiB.",
            hint="Lower what one trial may use.",
        )
    return {"cpu": wanted["CPU"], "gpu": gpus} | (
        {"memory": wanted["memory"]} if bounds.memory is not None else {}
    )


def _name(trial: RayTrial) -> str:
    return str(trial.config["work"]["job"]["name"])
