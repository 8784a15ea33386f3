"""A whole dataset through `skinzoo predict` against `skinzoo serve`, beside the same export in process.

    python benchmarks/batch.py RUN --data DATA/ham10000

RUN was trained on HAM10000. Every image of its table is sent from its file; the answers are compared
with what `skinzoo evaluate` predicts for the run's parts, row by row.

* Rows: all answered, in the order of the table.
* Largest difference to the run's own predictions: at most 1e-4.
* Cases a second against `skinzoo predict --export`, start-up included in both: at least 0.8.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd
from record import RESULTS, write_result

PACKAGES = ("skinzoo", "tensorflow", "grpcio", "protobuf", "numpy")
PARTS = ("train", "validation", "test")
SKINZOO = (sys.executable, "-m", "skinzoo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="first rows of the table only")
    parser.add_argument("--out", type=Path, default=RESULTS / "batch.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pd.read_csv(arguments.data / "HAM10000_metadata.csv").head(arguments.limit or sys.maxsize)
        table.to_csv(folder / "cases.csv", index=False)
        base, model = folder / "exports", "batch"
        skinzoo("export", arguments.run, "--to", base, "--name", model)
        words = ["predict", folder / "cases.csv", "--images", arguments.data, "--any-term", "--to"]
        server = subprocess.Popen(
            [*SKINZOO, "serve", str(base), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            address = ready(server)
            served = timed(*words, folder / "served.csv", "--server", address)
        finally:
            server.terminate()
            server.wait()
        in_process = timed(*words, folder / "local.csv", "--export", base / model)
        results = compare(folder / "served.csv", table, arguments.run, folder)
    results |= {
        "cases": len(table),
        "served_cases_per_second": len(table) / served,
        "in_process_cases_per_second": len(table) / in_process,
        "ratio": in_process / served,
    }
    print(results)
    write_result(arguments.out, results, packages=PACKAGES, load=load)


def skinzoo(*words: object) -> None:
    subprocess.run([*SKINZOO, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def timed(*words: object) -> float:
    began = time.perf_counter()
    skinzoo(*words)
    return time.perf_counter() - began


def ready(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"gRPC on (\S+?)\.? ", line)
        if found:
            return found[1]
    raise SystemExit("The server ended before it was ready.")


def compare(served: Path, table: pd.DataFrame, run: Path, folder: Path) -> dict[str, object]:
    answers = pd.read_csv(served)
    in_order = answers["id"].tolist() == table["image_id"].tolist()
    predicted = []
    for part in PARTS:
        to = folder / part
        skinzoo("evaluate", run, "--part", part, "--draws", "100", "--to", to)
        predicted.append(pd.read_csv(next(to.rglob("predictions.csv"))))
    expected = pd.concat(predicted).set_index("image_id")
    classes = [name.removeprefix("p_") for name in answers.columns if name.startswith("p_")]
    both = answers[answers["id"].isin(expected.index)]
    difference = (
        both[[f"p_{name}" for name in classes]].to_numpy() - expected.loc[both["id"], classes].to_numpy()
    )
    return {
        "answered": int(answers["error"].isna().sum()),
        "in_order": in_order,
        "compared": len(both),
        "largest_difference": float(abs(difference).max()),
    }


if __name__ == "__main__":
    main()
