"""A whole dataset through `skinzoo predict --ray` with two workers, beside one process that uses all cores.

    python benchmarks/ray_batch.py RUN                # all 10,015 images of HAM10000
    python benchmarks/ray_batch.py RUN --limit 300

Reads HAM10000 from `data/ham10000` of $SKINZOO_TEST_SHARED, or of `../shared`. RUN is a run, or with --export
the folder of an export. Both commands take the same table, start-up included in both, in turns.

* Answers: the same cases, classes and errors in the same order; largest difference of a probability at most
  1e-6, as another number of threads adds in another order.
* Cases a second with Ray against without: at least 0.9.

The result is printed and written to docs/results/benchmarks/ray_batch.json, with the seconds that the cluster
and the workers took to start, and what each worker did a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd
from record import RESULTS, ROOT, write_result

PACKAGES = ("skinzoo", "ray", "pyarrow", "tensorflow", "keras", "numpy")
SKINZOO = (sys.executable, "-m", "skinzoo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, metavar="RUN")
    parser.add_argument("--export", action="store_true", help="RUN is an export")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, help="first rows of the table only")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "ray_batch.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    data = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared")) / "data" / "ham10000"
    alone, scaled, sessions = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pd.read_csv(data / "HAM10000_metadata.csv").head(arguments.limit or sys.maxsize)
        table.to_csv(folder / "cases.csv", index=False)
        kind = "--export" if arguments.export else "--run"
        words = ["predict", folder / "cases.csv", "--images", data, "--any-term", "--overwrite"]
        words += [kind, arguments.model.resolve()]
        for _ in range(arguments.rounds):
            alone.append(timed(*words, "--to", folder / "alone.csv"))
            scaled.append(timed(*words, "--to", folder / "scaled", "--ray", "--workers", arguments.workers))
            manifest = json.loads((folder / "scaled" / "_manifest.json").read_text(encoding="utf-8"))
            sessions.append(manifest["sessions"][-1])
        results = compare(pd.read_csv(folder / "alone.csv"), pd.read_parquet(folder / "scaled"))
    one, many = statistics.median(alone), statistics.median(scaled)
    results |= {
        "model": arguments.model.resolve().name,
        "cases": len(table),
        "workers": arguments.workers,
        "rounds": arguments.rounds,
        "one_process_seconds": round(one, 2),
        "ray_seconds": round(many, 2),
        "one_process_cases_per_second": round(len(table) / one, 2),
        "ray_cases_per_second": round(len(table) / many, 2),
        "ratio": round(one / many, 3),
        "ray_sessions": sessions,
    }
    print(json.dumps(results, indent=2))
    write_result(arguments.out, results, packages=PACKAGES, load=load)


def timed(*words: object) -> float:
    began = time.perf_counter()
    subprocess.run([*SKINZOO, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def compare(alone: pd.DataFrame, scaled: pd.DataFrame) -> dict[str, object]:
    probabilities = [name for name in alone.columns if name.startswith("p_")]
    texts = ["id", "image", "predicted_class", "error"]
    first, second = (table[texts].astype(object).fillna("").astype(str) for table in (alone, scaled))
    same = first.equals(second)
    difference = abs(alone[probabilities].to_numpy() - scaled[probabilities].to_numpy())
    return {
        "answered": int(scaled["error"].isna().sum()),
        "same_cases_classes_and_errors": same,
        "largest_difference": float(difference.max()),
        "rows_equal_to_nine_digits": float((difference.max(axis=1) < 1e-9).mean()),
    }


if __name__ == "__main__":
    main()
