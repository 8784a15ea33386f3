"""Start-up, input, training, evaluation and serving in one command: a Markdown table of ratios.

    python benchmarks/run.py --to FOLDER

Each benchmark runs shortened, one after another; FOLDER gets their result files and the table, in which
each ratio has its target. Those that need HAM10000 find it as their own descriptions say, and are left out
where it is absent. The figures of docs/results/benchmarks come from the benchmarks' own commands, which take
longer.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from generate import benchmarks

VARIANT = "mobilenetv3small"
PEERS = ("bentoml", "litserve", "ray")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True, help="folder of the results")
    to = parser.parse_args().to.resolve()
    to.mkdir(parents=True, exist_ok=True)
    shared = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared"))
    script("startup", "--runs", "5", "--out", to / "startup.json")
    script("train", "--variants", VARIANT, "--rounds", "3", "--out", to / "train.json")
    if (shared / "data" / "ham10000").is_dir():
        script("input", "--limit", "1000", "--rounds", "3", "--output", to / "input.json")
        limits = ("--limit", "1000", "--rounds", "2")
        script("evaluate", "--variant", VARIANT, *limits, "--out", to / "evaluate.json")
    else:
        print(f"Left out, since there is no HAM10000 in {shared}: input, evaluate", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        export = exported(Path(folder))
        script("serve", export, "--rounds", "2", "--seconds", "8", "--out", to / "serve.json")
        absent = [name for name in PEERS if importlib.util.find_spec(name) is None]
        if absent:
            print(f"Left out, since {', '.join(absent)} are absent (extra bench): peers", flush=True)
        else:
            peers = ("--part", "peers", "--rounds", "1", "--seconds", "4")
            script("serve", export, *peers, "--out", to / "serve-peers.json")
    table = benchmarks(to)
    (to / "README.md").write_text(table, encoding="utf-8")
    print(table)


def script(name: str, *words: object) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *map(str, words)]
    began = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def exported(folder: Path) -> Path:
    """Return the export of a variant that was hardly trained: what it answers costs the same."""
    environment = os.environ | {"SKINZOO_HOME": str(folder)}
    runs, exports = folder / "runs", folder / "exports"
    train = [
        "train",
        VARIANT,
        "--data",
        "sample",
        "--weights",
        "none",
        "--epochs",
        "1",
        "--out",
        runs,
        "--name",
        "m",
    ]
    for words in (train, ["export", runs / "m", "--to", exports, "--name", "m", "--version", "1"]):
        command = [sys.executable, "-m", "skinzoo", *map(str, words)]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return exports / "m" / "1"


if __name__ == "__main__":
    main()
