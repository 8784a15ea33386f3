"""`skinzoo predict` against a real server, a run and an export; killed and gone on with."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typed_servers import Golden, Server, models_of

SKINZOO = Path(sys.executable).with_name("skinzoo")


@pytest.fixture(scope="module")
def cases(sample_folder, tmp_path_factory):
    """Twelve images under their table: with `image_id` as HAM10000's has it."""
    folder = tmp_path_factory.mktemp("cases")
    with (sample_folder / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:12]
    (folder / "part_1").mkdir()
    for row in rows:
        shutil.copy(sample_folder / "images" / f"{row['image_id']}.jpg", folder / "part_1")
    with (folder / "metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def rows_of(path):
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(rows):
    return [[float(row[name]) for name in row if name.startswith("p_")] for row in rows]


def close(first, second):
    return all(
        abs(a - b) < 1e-4
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_a_table_against_a_server_a_run_and_an_export(invoke, server, cases, tiny_run, tiny_export, tmp_path):
    table = cases / "metadata.csv"
    ways = {
        "server": ["--server", server.address, "--batch", 5],
        "run": ["--run", tiny_run.path],
        "export": ["--export", tiny_export],
        "model": ["--export", tiny_export.parent],
    }
    found = {}
    for name, way in ways.items():
        done = invoke("predict", table, *way, "--to", tmp_path / f"{name}.csv")
        assert done.code == 0, done.err
        assert "12 cases answered by tiny" in done.out and "0 failed" in done.out
        found[name] = rows_of(tmp_path / f"{name}.csv")
    ids = [row["image_id"] for row in rows_of(table)]
    for name, rows in found.items():
        assert [row["id"] for row in rows] == ids, name
        assert close(numbers(rows), numbers(found["run"])), name
    assert {row["model"] for row in found["server"]} == {"tiny/1"}


def test_the_folder_of_images_may_lie_elsewhere(invoke, server, cases, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text((cases / "metadata.csv").read_text())
    done = invoke("predict", table, "--server", server.address, "--to", tmp_path / "without.csv")
    assert done.code == 3 and "of whose rows none does" in done.err and "--images FOLDER" in done.err
    assert not (tmp_path / "without.csv").exists()
    done = invoke(
        "predict", table, "--images", cases, "--server", server.address, "--to", tmp_path / "with.csv"
    )
    assert done.code == 0, done.err


def test_one_image_on_the_screen(invoke, server, tiny_export, tmp_path):
    golden = Golden(tiny_export)
    image = tmp_path / "mole.png"
    image.write_bytes(golden.cases[0].image)
    known = [("--age", golden.cases[0].age), ("--sex", golden.cases[0].sex)]
    known.append(("--localization", golden.cases[0].localization))
    options = [item for pair in known if pair[1] is not None for item in pair]
    done = invoke("predict", image, *options, "--server", server.address, columns=80)
    assert done.code == 0, done.err
    top = max(golden.probabilities[0])
    assert "mole.png" in done.out and f"{top:.4f}" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    done = invoke("predict", image, *options, "--server", server.address, "--format", "jsonl")
    row = json.loads(done.out)
    assert close([list(row["probabilities"].values())], golden.probabilities[:1])
    done = invoke("predict", image, *options, "--server", server.address, "--format", "csv")
    assert close(numbers(csv.DictReader(done.out.splitlines())), golden.probabilities[:1])


def test_rows_with_errors_end_with_7_and_the_others_are_answered(invoke, server, cases, tmp_path):
    images = sorted((cases / "part_1").iterdir())
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "t.csv").write_text(
        "image,age,sex,localization\n"
        f"{images[0]},50,male,back\n"
        "text.jpg,,,\n"
        "gone.jpg,,,\n"
        f"{images[1]},999,,\n"
        f"{images[1]},,femal,\n"
        f"{images[1]},,,\n"
    )
    to = tmp_path / "out.csv"
    done = invoke("predict", tmp_path / "t.csv", "--server", server.address, "--to", to)
    assert done.code == 7
    assert "Received: 4 of 6 cases with an error." in done.err and str(to) in done.err
    rows = rows_of(to)
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, True, False]
    for row, words in zip(
        rows[1:5], ("of another kind", "No such file", "within 0..120", "must be one of female"), strict=True
    ):
        assert words in row["error"]
    # Gone on with, the errors stay and count.
    assert invoke("predict", tmp_path / "t.csv", "--server", server.address, "--to", to, "--resume").code == 7
    assert rows_of(to) == rows
    done = invoke("predict", tmp_path / "t.csv", "--server", server.address, "--any-term", columns=200)
    assert done.code == 7 and "outside the model's vocabulary" in done.out


def command(*arguments):
    return subprocess.Popen(
        [SKINZOO, "predict", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_a_killed_batch_is_gone_on_with(invoke, server, servable, cases, tmp_path, name):
    arguments = [cases / "metadata.csv", "--server", server.address, "--batch", 2, "--in-flight", 2]
    whole = tmp_path / f"whole-{name}"
    assert invoke("predict", *arguments, "--to", whole).code == 0
    to = tmp_path / name
    servable.before = lambda number: time.sleep(0.3)
    process = command(*arguments, "--to", to)
    until = time.monotonic() + 120
    while not to.exists() or to.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = to.read_bytes()
    assert before.count(b"\n") < 12
    # Killed in the middle of a line, too.
    to.write_bytes(before + b'{"id": "torn' if name.endswith("l") else before + b"SAMPLE,torn")
    servable.before = lambda number: None
    done = invoke("predict", *arguments, "--to", to, "--resume")
    assert done.code == 0, done.err
    assert to.read_bytes().startswith(before)
    assert without_last_digits(to) == without_last_digits(whole)


def without_last_digits(path):
    """Return results with probabilities as batches of another size cannot change them."""
    if path.suffix == ".csv":
        return [
            {k: v if not k.startswith("p_") else f"{float(v):.4f}" for k, v in row.items()}
            for row in rows_of(path)
        ]
    return [
        {
            k: v if k != "probabilities" else [f"{x:.4f}" for x in v.values()]
            for k, v in json.loads(row).items()
        }
        for row in path.read_text().splitlines()
    ]


def test_a_server_that_is_gone_for_good_leaves_what_was_answered(servable, cases, tmp_path):
    server = Server(models_of(servable))
    servable.before = lambda number: time.sleep(0.3)
    to = tmp_path / "out.csv"
    process = command(
        cases / "metadata.csv", "--server", server.address, "--to", to, "--batch", 1, "--in-flight", 1,
        "--retry-seconds", 1,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not to.exists() or to.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    server.stop()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 6, err
    assert "trying again for up to 1 s" in err and "go on with --resume" in err and "Traceback" not in err
    assert 3 <= len(rows_of(to)) < 12


def test_a_restart_in_the_middle_is_outlasted(servable, cases, tmp_path):
    server = Server(models_of(servable))
    servable.before = lambda number: time.sleep(0.1)
    to = tmp_path / "out.csv"
    process = command(cases / "metadata.csv", "--server", server.address, "--to", to, "--batch", 1)
    try:
        while not to.exists() or to.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        server.stop()
        threading.Event().wait(1)
        server.start()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "12 cases answered" in out
        assert [row["id"] for row in rows_of(to)] == [
            row["image_id"] for row in rows_of(cases / "metadata.csv")
        ]
    finally:
        server.stop()


def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{image}", "--server", "http://x:1"], 2, "must be HOST:PORT"),
        (["{image}", "--server", "127.0.0.1:{unused}"], 6, "Connection refused"),
        (["{image}", "--server", "{server}", "--timeout", "0.001"], 6, "within 0.001 s"),
        (["{image}", "--server", "{server}", "--model", "other"], 6, "Servable not found"),
        (["{image}", "--server", "{server}", "--api", "rest"], 2, "`api` must be one of"),
        (["{image}", "--server", "{server}", "--api", "tensorflow"], 2, "`model` must be given"),
        (["{image}", "--server", "{server}", "--age", "200"], 3, "within 0..120"),
        (["{image}", "--server", "{server}", "--sex", "femal"], 3, "Did you mean 'female'?"),
        (["{image}", "--server", "{server}", "--format", "xml"], 2, "`format` must be one of"),
        (["{image}", "--server", "{server}", "--run", "latest"], 2, "must not come together"),
        (["{image}", "--export", "{empty}"], 5, "saved_model.pb"),
        (["{image}", "--run", "no-such-run"], 2, "no-such-run"),
        (["{image}", "--run", "latest", "--model", "x"], 2, "must come with --server"),
        (["{image}", "--resume"], 2, "must come with --to"),
        (["{image}", "--to", "{empty}/x.csv", "--resume", "--overwrite"], 2, "must not come together"),
        (["{image}", "--to", "{empty}/x.txt"], 2, "must end in"),
        (["{empty}"], 3, "must hold images"),
        (["{empty}/gone.jpg"], 3, "must exist"),
        (["{table}"], 3, "must have one of the columns"),
        (["{table}", "--age", "5"], 2, "must come with images"),
    ],
)
def test_wrong_use_is_one_line_and_its_own_code(invoke, server, cases, tmp_path, arguments, code, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("name\nx\n")
    places = {
        "image": sorted((cases / "part_1").iterdir())[0],
        "server": server.address,
        "unused": unused_port(),
        "empty": tmp_path / "empty",
        "table": tmp_path / "table.csv",
    }
    done = invoke("predict", *(one.format(**places) for one in arguments))
    assert done.code == code, done.err
    assert words in done.err and len(done.err.splitlines()) == 1
