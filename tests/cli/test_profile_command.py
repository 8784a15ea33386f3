"""`skinzoo profile` on a small variant."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

QUICK = ("--image-size", "16", "--batch", "2", "--repeats", "3", "--seconds", "0.1", "--no-training")


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    return tmp_path_factory.mktemp("profile") / "costs.json"


def test_rows_are_kept_and_a_table_lies_beside(invoke, costs):
    done = invoke("profile", "cnn", *QUICK, "--to", costs, columns=80)
    assert done.code == 0, done.err
    assert "1/1 cnn" in done.err and f"Rows: {costs}" in done.out
    assert all(len(line) <= 80 or str(costs.parent) in line for line in done.out.splitlines())
    row = json.loads(costs.read_text())["rows"][0]
    assert row["variant"] == "cnn" and row["built"]["image_size"] == 16 and "training" not in row
    assert "| cnn | 16 x 16 |" in costs.with_suffix(".md").read_text()
    again = invoke("profile", "cnn", *QUICK, "--to", costs, "--ratio", "cnn", "cnn", "--json")
    assert "1/1" not in again.err
    assert again.json["rows"] == [row] and again.json["ratio"]["latency"] == 1
    assert again.json["ratio"]["training"] is None


def test_a_variant_that_fails_is_named_behind_the_table(invoke, costs):
    done = invoke("profile", "cnn", *QUICK, "--timeout", "0.1", "--to", costs.with_name("short.json"))
    assert done.code == 5 and done.err.splitlines()[-1].startswith("Error: Every variant must be measured")
    assert "given up after 0.1 s" in done.err and "variant" in done.out
    # What was measured before stands beside it.
    done = invoke("profile", "cnn", "mobilenetv2", *QUICK[2:], "--image-size", "16", "--to", costs)
    assert done.code == 2 and "`image_size` must be at least 32" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Received: neither"),
        (["cnn", "--all"], 2, "Received: both"),
        (["cnnn"], 4, "Did you mean 'cnn'"),
        (["cnn", "--to", "a.csv"], 2, "must end in .json"),
        (["cnn", "--anew"], 2, "--anew must come with --to"),
        (["cnn", "--ratio", "cnn", "resnet50"], 2, "resnet50, of which there is no row"),
        (["cnn", "--batch", "0"], 2, "`batch` must be at least 1"),
        (["cnn", "--precision", "half"], 2, "`precision` must be one of"),
        (["cnn", "--fusion", "mlpp"], 4, "Did you mean 'mlp'"),
    ],
)
def test_wrong_use_is_one_line(invoke, arguments, code, words):
    done = invoke("profile", *arguments)
    assert done.code == code
    assert len(done.err.splitlines()) == 1 and words in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_command_leaves_no_process_behind(tmp_path):
    words = [sys.executable, "-m", "skinzoo", "profile", "cnn", "--seconds", "600", "--repeats", "1000000"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 120
    while not (found := children.read_text().split()):
        assert time.monotonic() < until
        time.sleep(0.1)
    command = Path(f"/proc/{found[0]}/cmdline")
    while b"skinzoo.profile.child" not in command.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.1)
    process.kill()
    process.wait()
    while command.exists() and command.read_bytes():
        assert time.monotonic() < until, "the process that measures goes on"
        time.sleep(0.1)


def test_a_file_that_is_no_profile_is_left_alone(invoke, tmp_path):
    path = tmp_path / "notes.json"
    path.write_text("{}")
    done = invoke("profile", "cnn", *QUICK, "--to", path)
    assert done.code == 3 and path.read_text() == "{}"
