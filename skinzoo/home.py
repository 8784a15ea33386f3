"""Where skinzoo keeps what it writes."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "SKINZOO_HOME"


def home() -> Path:
    """Return the folder of caches, downloaded datasets and exports: `$SKINZOO_HOME`, else `~/.skinzoo`."""
    value = os.environ.get(HOME_VARIABLE)
    return Path(value).expanduser() if value else Path.home() / ".skinzoo"


def runs_folder() -> Path:
    """Return the folder of runs: `$SKINZOO_HOME/runs`, else `./skinzoo-runs`."""
    return home() / "runs" if os.environ.get(HOME_VARIABLE) else Path("skinzoo-runs")


def cache_folder() -> Path:
    """Return the folder of decoded images and features."""
    return home() / "cache"


def datasets_folder() -> Path:
    """Return the folder that downloads go to."""
    return home() / "datasets"
