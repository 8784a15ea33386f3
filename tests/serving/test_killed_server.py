"""A server that is killed in the middle of a batch and started again: the batch does not notice."""

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from living import living

SKINZOO = Path(sys.executable).with_name("skinzoo")


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def probabilities(rows):
    return [float(value) for row in rows for name, value in row.items() if name.startswith("p_")]


def start_predict(table, server, to, home):
    # Small requests, several under way: the kill meets some that are sent and not answered.
    sizes = ("--batch", "2", "--in-flight", "3")
    return subprocess.Popen(
        [SKINZOO, "predict", table, "--server", server, "--to", to, *sizes, "--retry-seconds", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"SKINZOO_HOME": str(home)},
    )


def test_predict_goes_on_where_a_killed_server_left_it(tiny_export, sample_folder, tmp_path):
    base = tmp_path / "exports" / "tiny"
    shutil.copytree(tiny_export, base / "1")
    table, file = sample_folder / "metadata.csv", tmp_path / "killed.csv"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"home": tmp_path, "port": port}
    with living(base, "--no-enable-model-warmup", **options) as server:
        predict = start_predict(table, server.address, file, tmp_path)
        until = time.monotonic() + 300
        while not file.is_file() or len(rows_of(file)) < 10:
            assert predict.poll() is None and time.monotonic() < until, predict.stdout.read()
            time.sleep(0.005)
        server.process.kill()
        server.process.wait()
        assert predict.poll() is None
    answered = len(rows_of(file))
    with living(base, "--no-enable-model-warmup", **options) as server:
        said, _ = predict.communicate(timeout=600)
        assert predict.returncode == 0, said
        assert 1 <= said.count("The server is unavailable; trying again") <= 2
        whole = tmp_path / "whole.csv"
        undisturbed = start_predict(table, server.address, whole, tmp_path)
        assert undisturbed.wait(timeout=600) == 0, undisturbed.stdout.read()
        undisturbed.stdout.close()
    wanted = [row["image_id"] for row in rows_of(table)]
    assert 10 <= answered < len(wanted)
    found, expected = rows_of(file), rows_of(whole)
    # Nothing is lost, nothing is there twice, and nothing is out of its order.
    assert [row["id"] for row in found] == [row["id"] for row in expected] == wanted
    assert [row["error"] for row in found] == [""] * len(wanted)
    assert probabilities(found) == pytest.approx(probabilities(expected), abs=1e-4)
