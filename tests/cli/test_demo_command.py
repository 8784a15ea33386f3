"""`skinzoo demo`: the whole chain in one command."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a demo and what it printed: one that has run already where there is one."""
    if there := os.environ.get("SKINZOO_TEST_DEMO"):
        return Path(there), Path(f"{there}.log").read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("demo") / "out"
    skinzoo = Path(sys.executable).with_name("skinzoo")
    done = subprocess.run(
        [skinzoo, "demo", "--to", str(folder), "--epochs", "2", "--images", "200"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder, done.stdout


def test_every_case_is_answered_by_the_server(demo):
    folder, said = demo
    with (folder / "results.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    assert all(row["predicted_class"] and not row["error"] for row in rows)
    assert {row["model"] for row in rows} == {"demo/1"}
    assert "not sent" in said
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["sex"] == "" for row in csv.DictReader(stream)][-4:] == [True] * 4


def test_the_page_links_to_reports_that_are_there(demo):
    folder, _ = demo
    html = (folder / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"#]+)"', html)
    assert len(links) == 3
    assert all((folder / link).is_file() for link in links)


def test_a_run_answers_in_process_as_its_export_does(demo, cli):
    folder, _ = demo
    tables = []
    for option, path in (("--run", folder / "runs" / "demo"), ("--export", folder / "exports" / "demo")):
        done = cli("predict", folder / "cases.csv", option, path, "--format", "csv")
        assert done.returncode == 0, done.stderr
        tables.append(list(csv.DictReader(done.stdout.splitlines())))
    for ours, theirs in zip(*tables, strict=True):
        assert ours["abstain"] == theirs["abstain"]
        numbers = [name for name in ours if name.startswith(("p_", "calibrated_"))]
        assert any(name.startswith("calibrated_") for name in numbers)
        assert [float(ours[name]) for name in numbers] == pytest.approx(
            [float(theirs[name]) for name in numbers], abs=1e-5
        )


def test_the_server_is_gone_at_the_end(demo):
    folder, _ = demo
    assert "Stopped" in (folder / "server.log").read_text(encoding="utf-8")


def test_a_folder_that_holds_something_is_left_alone(cli, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = cli("demo", "--to", tmp_path)
    assert done.returncode == 2
    assert "must be new or empty" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_a_command_that_fails_ends_the_demo_with_its_exit_code(tmp_path):
    from skinzoo.demo import Demo, Step
    from skinzoo.demo.chain import DemoError

    demo = Demo(tmp_path / "out")
    demo.steps = lambda: (Step("Fails", ("train", "no_such_variant")),)
    with pytest.raises(DemoError, match=r"must succeed\. Received: exit code 4") as caught:
        demo.run(lambda number, step: None)
    assert caught.value.exit_code == 4
