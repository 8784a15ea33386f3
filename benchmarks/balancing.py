"""What SMOTE and ADASYN make of HAM10000 at 32x32 pixels, beside the numbers of the Northeastern report.

    python benchmarks/balancing.py

The report (PAPER_FACTS 7, seed 003) resized to 32x32, balanced flattened pixels by ADASYN to 37,565 rows and
split 80/20. It does not say which came first. Balancing all rows, which would put images that were
interpolated from test images into the training part, gives some 47,000; its number fits the training part
alone.

The table is printed and written to docs/results/benchmarks/balancing.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from record import RESULTS, ROOT, write_result

from skinzoo.data.balancing import SYNTHETIC, balance_pixels
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding
from skinzoo.data.read import read_dataset
from skinzoo.data.splits import make_split

REPORT_ROWS = 37_565
PACKAGES = ("skinzoo", "imbalanced-learn", "scikit-learn", "tensorflow", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "balancing.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    shared = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared"))
    table = read_dataset(shared / "data" / "ham10000")
    images = cached_images(table, Decoding(size=32), in_memory=True)
    training = make_split(table, "northeastern").part(table, "train")
    results = []
    print(f"{'rows':32} {'method':8} {'given':>7} {'after':>7}   after, of each class")
    for rows, part in (("training part (ours)", training), ("all rows, before a split", table)):
        for method in SYNTHETIC:
            start = time.perf_counter()
            balanced, _ = balance_pixels(part, images, method, seed=42)
            classes = dict(sorted(Counter(balanced["label"]).items()))
            print(f"{rows:32} {method:8} {len(part):7,} {len(balanced):7,}   {classes}")
            results.append(
                {
                    "rows": rows,
                    "method": method,
                    "given": len(part),
                    "after": len(balanced),
                    "classes": classes,
                    "seconds": round(time.perf_counter() - start, 1),
                }
            )
    print(f"{'Northeastern report':32} {'adasyn':8} {'':7} {REPORT_ROWS:7,}")
    write_result(
        options.output, {"report_rows": REPORT_ROWS, "balanced": results}, packages=PACKAGES, load=load
    )


if __name__ == "__main__":
    main()
