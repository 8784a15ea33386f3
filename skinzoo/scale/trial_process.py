"""The process that trains one trial: `python -m skinzoo.scale.trial_process`.

The first line of standard input is the job as JSON. What happens goes as JSON lines to standard output:
`{"notice": text}`, `{"epoch": row}` and, at the end, `{"end": state, "message": text}`. A job that waits goes
on after an epoch when it gets a byte. When standard input ends, whoever started this is gone, and so is this.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skinzoo.config import from_dict
from skinzoo.errors import SkinzooError, StoppedError
from skinzoo.quiet import import_keras
from skinzoo.training.listener import Listener
from skinzoo.training.lock import is_locked
from skinzoo.training.runs import CARD_FILE, CONFIG_FILE, FAILED, FINISHED, STOPPED, RunFolder

EVALUATED = Path("evaluation", "validation", "report.json")
_LOCK_SECONDS = 30.0


class Reporter(Listener):
    """Passes on what a training says.

    Args:
        stream: Where the lines go.
        waits: Whether each epoch is followed by a wait.
    """

    def __init__(self, stream: Any, *, waits: bool) -> None:
        self._stream = stream
        self._waits = waits
        self.go = threading.Semaphore(0)

    def say(self, **event: Any) -> None:
        """Write one line."""
        self._stream.write(json.dumps(event, default=float) + "\n")
        self._stream.flush()

    def notice(self, text: str) -> None:
        """Pass it on."""
        self.say(notice=text)

    def epoch_ended(self, row: Mapping[str, Any], best: bool) -> None:
        """Pass it on, and wait where that is asked for."""
        self.say(epoch=dict(row))
        if self._waits:
            self.go.acquire()


def carry_out(job: Mapping[str, Any], reporter: Reporter) -> None:
    """Train a trial, or go on with it, and evaluate it on its validation part.

    Args:
        job: `name` of the run, its `folder`, and the `config`.
        reporter: Who is told.
    """
    run = RunFolder(Path(job["folder"], job["name"]))
    # The process that was at it before may take a moment to notice that nobody waits for it any more.
    until = time.monotonic() + _LOCK_SECONDS
    while is_locked(run.path) and time.monotonic() < until:
        time.sleep(0.1)
    import_keras()
    from skinzoo.training import trainer

    if not (run.path / CONFIG_FILE).exists():
        trainer.train(from_dict(job["config"]), folder=run.path.parent, name=run.name, listener=reporter)
    elif not (run.path / CARD_FILE).exists():
        trainer.resume(run, listener=reporter)
    if not (run.path / EVALUATED).exists():
        from skinzoo.evaluation.request import EvaluationRequest, prepare

        evaluation = prepare(EvaluationRequest(runs=(str(run.path),), part="validation"))
        evaluation.write(evaluation.evaluate())


def main() -> None:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.buffer.readline())
    # Whatever libraries print on standard output belongs to the log.
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    reporter = Reporter(stream, waits=job["waits"])

    def listen() -> None:
        while os.read(0, 1):
            reporter.go.release()
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    try:
        carry_out(job, reporter)
        end = {"end": FINISHED, "message": ""}
    except StoppedError as stopped:
        end = {"end": STOPPED, "message": str(stopped)}
    except SkinzooError as error:
        end = {"end": FAILED, "message": str(error)}
    reporter.say(**end)


if __name__ == "__main__":
    main()
