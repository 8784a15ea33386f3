"""Writing a benchmark's result with what it stands on: command, commit, hardware, versions."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from skinzoo.files import write_json
from skinzoo.training.environment import processor

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "benchmarks"


def write_result(path: Path, results: Any, *, packages: Sequence[str], load: float) -> None:
    """Write results beside their conditions.

    Args:
        path: The JSON file.
        results: What was measured; plain data.
        packages: Distributions whose versions matter.
        load: Load average when the measurement began, since other work slows it down.
    """
    script = Path(sys.argv[0]).resolve().relative_to(ROOT).as_posix()
    write_json(
        path,
        {
            "command": " ".join(["python", script, *(_shown(word) for word in sys.argv[1:])]),
            "commit": commit(),
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "hardware": {"processor": processor(), "cores": os.cpu_count(), "load_at_start": round(load, 2)},
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in packages},
            "results": results,
        },
    )


def _shown(word: str) -> str:
    """Return an argument without the folders of this machine."""
    return f"PATH/{Path(word).name}" if Path(word).is_absolute() else shlex.quote(word)


def commit() -> str:
    """Return the commit of the checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
