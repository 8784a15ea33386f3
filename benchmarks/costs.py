"""What every variant costs on this machine, and what the papers' "30 times faster" comes to on equal terms.

    python benchmarks/costs.py --rows FILE.json

`skinzoo profile --all` with the commit beside it: one process a variant, synthetic images, random weights.
FILE.json keeps the rows as they come, and the same command goes on where it was interrupted. The result goes
to docs/results/benchmarks/costs.json.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from record import RESULTS, write_result

from skinzoo.profile.record import ratios
from skinzoo.profile.request import ProfileSettings
from skinzoo.profile.service import profile
from skinzoo.registry import registry
from skinzoo.specs import VariantSpec

CLAIM = ("mobilenetv3large", "inceptionresnetv2")
"""The paper divides the times of their epochs, of which one was measured on a GPU and the other on a CPU."""
PACKAGES = ("skinzoo", "tensorflow", "keras", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=Path, required=True, help="keeps the rows until all are measured")
    parser.add_argument("--batch", type=int, default=8, help="images in a batch")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "costs.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found = profile(
        registry().names(VariantSpec.kind),
        ProfileSettings(batch=options.batch, seconds=options.seconds, choices={"classes": 7}),
        to=options.rows,
        began=lambda name, number, count: print(f"{number}/{count} {name}", flush=True),
        measured=lambda row: print(f"    {row['seconds']} s {row['error'] or ''}", flush=True),
    )
    results = {"profile": found.to_dict(), "ratio_of": CLAIM, "ratios": ratios(found.rows, *CLAIM)}
    write_result(options.out, results, packages=PACKAGES, load=load)


if __name__ == "__main__":
    main()
