"""Keep a finished and evaluated run as a result: card, history, evaluation, figures, and how it was made.

python benchmarks/keep.py RUN --to docs/results/NAME --command "skinzoo train ..." [--note "..."]
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from record import commit

from skinzoo.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--command", required=True, help="the command, with DATA and WEIGHTS for folders")
    parser.add_argument("--commit", help="commit of the training code; the checkout's unless given")
    parser.add_argument("--note", default="", help="what a reader must know beside the numbers")
    parser.add_argument("--evaluation", type=Path, help="folder of another evaluation than the run's own")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    test = arguments.evaluation or arguments.run / "evaluation" / "test"
    # An ensemble has no history of its own.
    for path in (arguments.run / "card.json", arguments.run / "history.csv"):
        if path.exists():
            shutil.copyfile(path, arguments.to / path.name)
    for suffix in ("json", "md"):
        shutil.copyfile(test / f"report.{suffix}", arguments.to / f"evaluation.{suffix}")
    # Of the figures, those that hold no image of the data.
    shutil.copytree(test / "figures", arguments.to / "figures", dirs_exist_ok=True)
    written = json.loads((arguments.run / "environment.json").read_text(encoding="utf-8"))
    write_json(
        arguments.to / "result.json",
        {
            "command": arguments.command,
            "commit": arguments.commit or commit(),
            "date": written["started"][:10],
            "note": arguments.note,
        },
    )


if __name__ == "__main__":
    main()
