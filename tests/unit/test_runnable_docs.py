"""Command blocks of README and docs that are marked runnable do run, as they stand and in their order.

A marker is the line before a block: `<!-- runnable -->`, or `<!-- runnable: slow -->` for what takes minutes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- runnable(: slow)? -->\n```(sh|python)\n(.*?)```", re.DOTALL)
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if BLOCK.search(path.read_text())
]


def run(page, folder, *, slow):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SKINZOO_")}
    environment["SKINZOO_HOME"] = str(folder / "home")
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for long, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if long and not slow:
            continue
        commands = [["python", "-c", text]]
        if language == "sh":
            commands = [["bash", "-c", line] for line in text.splitlines()]
        for command in commands:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
            )
            # Of a command whose comment names an exit code, this one is fine too.
            named = {int(code) for code in re.findall(r"exit code (\d+)", command[-1])}
            assert done.returncode in {0} | named, (command[-1], done.stdout[-2000:], done.stderr[-2000:])


def test_there_are_some():
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_short_blocks(page, tmp_path):
    run(page, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_all_blocks(page, tmp_path):
    run(page, tmp_path, slow=True)
