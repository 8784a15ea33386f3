"""What a run was made with: versions and machine, without names, paths or settings of its user."""

from __future__ import annotations

import platform
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from skinzoo.machine import cores

PACKAGES = (
    *("skinzoo", "tensorflow", "keras", "numpy", "pandas", "scikit-learn", "pillow"),
    *("imbalanced-learn", "protobuf"),
)


def describe_environment() -> dict[str, Any]:
    """Return versions, platform and the time in UTC."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "plugins": _plugins(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "cores": cores(),
        "byte_order": sys.byteorder,
    }


def processor() -> str:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _plugins() -> dict[str, str]:
    from skinzoo.plugins import installed_plugins

    return {p.provider.distribution: p.provider.version for p in installed_plugins() if p.specs}
