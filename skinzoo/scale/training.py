"""Training one variant in several processes, on one machine or more, through Ray Train.

Ray places and starts the processes and tells each where the others are; what they then do together is in
`skinzoo.training.group`. The run directory, the images and the weights must be at the same paths on all
machines. The first process writes the run; this one holds its lock, shows its progress and passes on the wish
to stop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from skinzoo.config import RunConfig
from skinzoo.errors import ModelError, SkinzooError, StoppedError
from skinzoo.quiet import import_keras
from skinzoo.scale.cluster import connect
from skinzoo.training import trainer
from skinzoo.training.group import Workers
from skinzoo.training.listener import Listener, StepReport
from skinzoo.training.lock import locked
from skinzoo.training.runs import RunFolder
from skinzoo.training.signals import StopRequest
from skinzoo.training.trainer import TrainingResult

PURPOSE = "Training on several workers"
ATTEMPTS = 3
"""How often a training is begun anew from its newest checkpoint after a worker is lost, at most."""
_PAUSE = 0.2
_ASK_EVERY = 1.0


def train(
    config: RunConfig,
    *,
    folder: Path | None = None,
    name: str | None = None,
    trackers: Sequence[str] = (),
    listener: Listener | None = None,
    address: str | None = None,
) -> TrainingResult:
    """Train a new run on `hardware.workers` processes.

    Args:
        config: The configuration.
        folder: Folder of runs; the usual one unless given.
        name: Name of the run; made of variant, recipe and time unless given.
        trackers: Names of `skinzoo.training.trackers.TRACKERS`.
        listener: Who is told of what happens.
        address: A running cluster, as `skinzoo.scale.cluster.connect` takes it; else one is started here.

    Raises:
        SkinzooError: As `skinzoo.training.trainer.train`; also MissingExtraError without Ray, and
            ServingError where the cluster cannot be had.
    """
    listener = listener or Listener()
    run, _, _ = trainer.begin(config, folder=folder, name=name, trackers=trackers, listener=listener)
    with locked(run.path):
        try:
            return _carry_out(run, listener, address)
        except SkinzooError:
            if run.checkpoints.latest() is None and not run.history():
                run.remove()
            raise


def resume(run: RunFolder, *, listener: Listener | None = None, address: str | None = None) -> TrainingResult:
    """Go on with a run from its newest checkpoint, on as many processes as it began with.

    Args:
        run: The run.
        listener: Who is told of what happens.
        address: A running cluster; one is started here unless given.

    Raises:
        SkinzooError: As `train`.
    """
    with locked(run.path):
        run.check_unfinished()
        return _carry_out(run, listener or Listener(), address)


def _carry_out(run: RunFolder, listener: Listener, address: str | None) -> TrainingResult:
    workers = run.config().hardware.workers
    own = workers if address is None else None
    with connect(address, purpose=PURPOSE, cpus=own) as ray, StopRequest(listener.notice) as stop:
        for left in reversed(range(ATTEMPTS)):
            try:
                found = _attempt(ray, run, workers, listener, stop)
            except StoppedError as error:
                # The process that stopped knows nothing of the cluster's address.
                raise StoppedError(error.message, hint=_go_on(run, address)) from error
            if not isinstance(found, str):
                return found
            if stop or not left:
                break
            listener.notice(f"Warning: a worker was lost; going on from the newest checkpoint ({found}).")
    if stop:
        raise StoppedError("Stopped while a worker was lost.", hint=_go_on(run, address))
    raise ModelError(
        f"The {workers} workers of a training must stay alive. Received: {found}",
        hint=f"Look at the memory of the machines. {_go_on(run, address)}",
    )


def _go_on(run: RunFolder, address: str | None) -> str:
    return f"Go on with: skinzoo train --resume {run.path}" + (f" --address {address}" if address else "")


class _Post:
    """An actor through which the first worker tells this process how it goes, and is told to stop."""

    def __init__(self) -> None:
        self._events: list[tuple[str, tuple[Any, ...]]] = []
        self._stop = False
        self._result: Any = None
        self._error: SkinzooError | None = None

    def tell(self, what: str, *words: Any) -> None:
        self._events.append((what, words))

    def told(self) -> list[tuple[str, tuple[Any, ...]]]:
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        self._stop = True

    def stopping(self) -> bool:
        return self._stop

    def finish(self, result: Any) -> None:
        self._result = result

    def fail(self, error: SkinzooError) -> None:
        # What follows from the first error, such as the loss of those who gave up, says nothing more.
        self._error = self._error or error

    def outcome(self) -> tuple[Any, SkinzooError | None]:
        return self._result, self._error


class _Telling(Listener):
    """Tells the post what the first worker does."""

    def __init__(self, post: Any, report_seconds: float) -> None:
        self._post = post
        self.report_seconds = report_seconds

    def notice(self, text: str) -> None:
        self._post.tell.remote("notice", text)

    def began(self, summary: Mapping[str, Any]) -> None:
        self._post.tell.remote("began", dict(summary))

    def prepared(self, what: str, done: int, total: int) -> None:
        self._post.tell.remote("prepared", what, done, total)

    def stepped(self, report: StepReport) -> None:
        self._post.tell.remote("stepped", report)

    def epoch_ended(self, row: Mapping[str, Any], best: bool) -> None:
        self._post.tell.remote("epoch_ended", dict(row), best)


def _work(task: Mapping[str, Any]) -> None:
    """Train in this process, one of several; Ray Train has put where the others are into `TF_CONFIG`."""
    import ray

    os.chdir(task["folder"])
    import_keras()
    post = task["post"]
    group = Workers()
    listener = _Telling(post, task["report_seconds"]) if group.chief else Listener()
    done = threading.Event()
    if group.chief:
        threading.Thread(target=_heed, args=(post, group, done), daemon=True).start()
    try:
        result = trainer.go_on(RunFolder(Path(task["run"])), listener=listener, group=group)
    except SkinzooError as error:
        ray.get(post.fail.remote(error))
        raise
    finally:
        done.set()
    if group.chief:
        ray.get(post.finish.remote(result))


def _heed(post: Any, group: Workers, done: threading.Event) -> None:
    import ray

    while not done.wait(_ASK_EVERY):
        if ray.get(post.stopping.remote()):
            group.ask_to_stop()
            return


def _attempt(
    ray: Any, run: RunFolder, workers: int, listener: Listener, stop: StopRequest
) -> TrainingResult | str:
    """Train to the end; return the result, or what was said when a worker was lost."""
    from ray.train import RunConfig as RayRunConfig
    from ray.train import ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    post = ray.remote(num_cpus=0)(_Post).remote()
    task = {
        "post": post,
        "run": str(run.path.resolve()),
        # What the configuration names may be relative to it.
        "folder": str(Path.cwd()),
        "report_seconds": listener.report_seconds,
    }
    lost: list[str] = []

    def fit() -> None:
        try:
            with TemporaryDirectory() as folder:
                TensorflowTrainer(
                    _work,
                    train_loop_config=task,
                    scaling_config=ScalingConfig(
                        num_workers=workers, use_gpu=bool(ray.cluster_resources().get("GPU"))
                    ),
                    run_config=RayRunConfig(name=run.name, storage_path=folder),
                ).fit()
        except Exception as error:
            lost.append(" ".join(f"{type(error).__name__}: {error}".split())[:300])

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    passed_on = False
    while thread.is_alive():
        thread.join(_PAUSE)
        _pass_on(ray, post, listener)
        if stop and not passed_on:
            passed_on = True
            ray.get(post.stop.remote())
    _pass_on(ray, post, listener)
    result, error = ray.get(post.outcome.remote())
    if error is not None:
        raise error
    return result if result is not None else lost[0] if lost else "no worker finished."


def _pass_on(ray: Any, post: Any, listener: Listener) -> None:
    for what, words in ray.get(post.told.remote()):
        getattr(listener, what)(*words)
