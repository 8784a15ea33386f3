"""The one service behind `skinzoo profile`: each variant in its own process, kept as soon as measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skinzoo.files import write_json
from skinzoo.profile.record import Profile, read_profile
from skinzoo.profile.request import ProfileSettings

_TAIL = 2000


def profile(
    variants: Sequence[str],
    settings: ProfileSettings,
    *,
    to: Path | None = None,
    anew: bool = False,
    began: Callable[[str, int, int], None] | None = None,
    measured: Callable[[dict[str, Any]], None] | None = None,
) -> Profile:
    """Profile variants one after the other.

    Args:
        variants: Names of the variants; one that cannot be built or measured gives a row with its error.
        settings: How.
        to: JSON file to keep the rows in. Rows that it holds already are kept and not measured again, those
            with an error are.
        anew: Whether to measure everything again.
        began: Called with name, number and count before a variant is measured.
        measured: Called with each new row.

    Raises:
        DataError: The file is no profile.
        UsageError: The file's rows were measured under other conditions.
    """
    found = Profile.begin(settings)
    if to is not None and to.exists() and not anew:
        found = read_profile(to)
        found.check_same(settings)
    wanted = [name for name in dict.fromkeys(variants) if name not in found.measured]
    for number, name in enumerate(wanted, start=1):
        if began is not None:
            began(name, number, len(wanted))
        row = measure_in_child(name, settings)
        found.add(row)
        if to is not None:
            found.save(to)
        if measured is not None:
            measured(row)
    if to is not None and not wanted:
        found.save(to)
    return found


def measure_in_child(variant: str, settings: ProfileSettings) -> dict[str, Any]:
    """Measure a variant in a process of its own.

    Args:
        variant: Name of the variant.
        settings: How.

    Returns:
        Its row; `error` says how the process ended where it did not measure everything, and `stage` in what.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        request, result = Path(folder, "request.json"), Path(folder, "row.json")
        write_json(request, {"variant": variant, "settings": settings.to_dict()})
        with Path(folder, "log").open("w+b") as log:
            with subprocess.Popen(
                [sys.executable, "-m", "skinzoo.profile.child", str(request), str(result)],
                # Its end tells the child that this process is gone.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
            ) as process:
                code: int | None = None
                try:
                    code = process.wait(settings.timeout)
                except subprocess.TimeoutExpired:
                    process.kill()
                except BaseException:
                    process.kill()
                    raise
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            last = log.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        row: dict[str, Any] = {"variant": variant, "stage": "start", "error": None}
        if result.exists():
            row = json.loads(result.read_text(encoding="utf-8"))
    if row["error"] is None and (code != 0 or row["stage"]):
        row["error"] = _ending(code, settings.timeout, last)
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


def _ending(code: int | None, timeout: float, last: Sequence[str]) -> str:
    if code is None:
        return f"given up after {timeout:g} s"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = ", most often because memory ran out" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{memory}"
    return f"the process ended with {code}" + (f": {last[0][:300]}" if last else "")
