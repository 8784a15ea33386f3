"""The process that measures one variant: `python -m skinzoo.profile.child REQUEST ROW`, both JSON files.

The row is written anew before each stage, so that whatever ends this process leaves what was known by then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from skinzoo.files import write_json
from skinzoo.plugins import describe
from skinzoo.profile.request import ProfileSettings

_WORST = "1000"


def main(request: Path, result: Path) -> None:
    """Measure what a request asks for.

    Args:
        request: File with `variant` and `settings`.
        result: File for the row; `stage` is the one that it ended in, empty where all were done.
    """
    with suppress(OSError):
        # Where memory runs out, this process is to die, not one that somebody needs.
        Path("/proc/self/oom_score_adj").write_text(_WORST, encoding="ascii")
    from skinzoo.profile.measure import measure

    asked = json.loads(request.read_text(encoding="utf-8"))
    row, stage = {"variant": asked["variant"]}, ""
    try:
        for stage, row in measure(asked["variant"], ProfileSettings(**asked["settings"])):
            write_json(result, {**row, "stage": stage, "error": None})
    except Exception as error:  # Whatever a plugin's network does is this row's result.
        write_json(result, {**row, "stage": stage, "error": " ".join(describe(error).split())[:300]})


def end_with_parent() -> None:
    """End this process when the one that started it is gone, which closes our standard input."""
    # Not through sys.stdin, whose lock a waiting thread would hold while the interpreter shuts down.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
