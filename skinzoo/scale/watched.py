"""A trial's process as whoever started it sees it: its events, its memory, and going on after a crash."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from skinzoo.training.runs import FAILED, STOPPED

CRASHES = 3
"""How often a trial goes on from its checkpoint after its process was killed, in one sweep."""
_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 60.0
_TAIL = 4000

Event = Mapping[str, Any]


class TrialProcess:
    """Carries a job out in a process of its own, as often as it is killed.

    Args:
        job: What `skinzoo.scale.trial_process` takes, and `cwd`, `env`, `log` and `memory` (GiB or None).
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._job = job
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._crashes = 0
        self._ended = False
        self._exceeded = False
        self._stopping = False
        self._process: subprocess.Popen[bytes]
        self._start()

    def next(self, timeout: float | None = None) -> Event | None:
        """Return the next event, the last of which has `end`; None where none came in time.

        Args:
            timeout: Seconds to wait; None waits for as long as it takes.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            event = self._broken_off()
        self._ended = "end" in event
        return event

    def __iter__(self) -> Iterator[Event]:
        while not self._ended:
            event = self.next()
            assert event is not None
            yield event

    def go_on(self) -> None:
        """Let a job that waits train its next epoch."""
        # One that was killed while it waited cannot be told, which the next event says.
        with suppress(BrokenPipeError, ValueError):
            self._tell(b"\n")

    def ask_to_stop(self) -> None:
        """Ask the process to save its state after the step and to end."""
        self._stopping = True
        self._process.terminate()

    def close(self, *, at_once: bool = False) -> None:
        """End the process.

        Args:
            at_once: Whether it need not save its state first.
        """
        if not self._ended and not at_once and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        if not self._ended:
            self._process.kill()
        self._ended = True
        self._let_go()

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _start(self) -> None:
        job = self._job
        log = Path(job["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "skinzoo.scale.trial_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=job["cwd"],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **job["env"]},
                # Ctrl-C is for the sweep, which then asks its trials to stop.
                start_new_session=True,
            )
        # One that ends before it has read its job is found to have crashed.
        with suppress(BrokenPipeError):
            self._tell(json.dumps(dict(job)).encode() + b"\n")
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        if job["memory"] is not None:
            threading.Thread(target=self._watch_memory, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._events.put(json.loads(line))
            except ValueError:
                # Half a line is all that a killed process got out.
                break
        self._events.put(None)

    def _watch_memory(self, process: subprocess.Popen[bytes]) -> None:
        page, bound = os.sysconf("SC_PAGE_SIZE"), self._job["memory"] * 2**30
        while process.poll() is None:
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
            except (OSError, IndexError, ValueError):
                return
            if pages * page > bound:
                self._exceeded = True
                process.kill()
            threading.Event().wait(_LOOK_SECONDS)

    def _broken_off(self) -> Event:
        """Return what is to be said of a process that ended without a word, after starting the next."""
        code, killed = self._process.wait(), self._process.pid
        self._let_go()
        if self._exceeded:
            return _failed(
                f"A trial must stay within its memory. Received: more than {self._job['memory']:g} GiB. "
                "Raise `memory` in [bounds], or choose smaller batches."
            )
        if self._stopping:
            # Before it could save anything, or while it evaluated what is saved.
            return {"end": STOPPED, "message": ""}
        if code >= 0:
            return _failed(f"Its process ended with {code}: {self._last_line()}")
        name = signal.Signals(-code).name
        self._crashes += 1
        if self._crashes > CRASHES:
            return _failed(f"Its process was ended by {name} for the {self._crashes}th time.")
        self._start()
        return {"notice": f"Process {killed} was ended by {name}; going on from the last checkpoint."}

    def _let_go(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _last_line(self) -> str:
        log = Path(self._job["log"])
        lines = log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip().splitlines()
        return f"{lines[-1][:300] if lines else 'nothing was said'} (see {log})"


def _failed(message: str) -> Event:
    return {"end": FAILED, "message": message}
