"""How long commands that only look things up take, beside a bare start of the interpreter.

    python benchmarks/startup.py --runs 15

Each round times every command once, in turn with the interpreter alone, so that what else the machine does
falls on all of them alike. Times are wall-clock seconds of a whole process. Two conditions: all bytecode
kept, as for a user from the second call on; and only that which the installer left (none, where `uv` installs
and PYTHONDONTWRITEBYTECODE is set). The table is printed and written to docs/results/benchmarks/startup.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from record import RESULTS, write_result

BARE = "python -c pass"
COMMANDS = ("--version", "--help", "list", "show mobilenetv2", "plugins")
LIMIT = 0.30
PACKAGES = ("skinzoo", "typer", "rich", "pluggy", "tensorflow", "keras", "pandas", "numpy")


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Return the wall time of a process that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def measure(runs: int, environment: dict[str, str]) -> dict[str, list[float]]:
    """Return the times of each command; a first round, not counted, fills caches."""
    script = Path(sys.executable).with_name("skinzoo")
    commands = {BARE: [sys.executable, "-c", "pass"]}
    commands |= {f"skinzoo {command}": [str(script), *command.split()] for command in COMMANDS}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        seconds(command, environment)
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(seconds(command, environment))
    return times


@contextmanager
def all_bytecode() -> Iterator[dict[str, str]]:
    """Give an environment in which processes keep the bytecode of everything they import."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        yield environment | {"PYTHONPYCACHEPREFIX": folder}


@contextmanager
def installed_bytecode() -> Iterator[dict[str, str]]:
    """Give an environment in which processes find the bytecode that the installer left, and keep none."""
    yield os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}


def summarise(times: dict[str, list[float]]) -> list[dict[str, str | float]]:
    """Return median, range and ratio to the bare interpreter of each command."""
    bare = statistics.median(times[BARE])
    return [
        {
            "command": name,
            "median_s": round(statistics.median(values), 4),
            "least_s": round(min(values), 4),
            "most_s": round(max(values), 4),
            "ratio_to_bare": round(statistics.median(values) / bare, 2),
        }
        for name, values in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15, help="rounds (default: 15)")
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    results = {}
    for condition in (all_bytecode, installed_bytecode):
        with condition() as environment:
            results[condition.__name__] = summarise(measure(arguments.runs, environment))
        print(f"{condition.__name__:<26}{'median s':>10}{'least s':>10}{'most s':>10}{'ratio':>8}")
        for row in results[condition.__name__]:
            print(
                f"{row['command']:<26}{row['median_s']:>10.3f}{row['least_s']:>10.3f}{row['most_s']:>10.3f}"
                f"{row['ratio_to_bare']:>8.1f}"
            )
    write_result(
        arguments.out,
        {"limit_s": LIMIT, "runs": arguments.runs, "conditions": results},
        packages=PACKAGES,
        load=load,
    )


if __name__ == "__main__":
    main()
