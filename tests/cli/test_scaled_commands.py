"""`skinzoo predict --ray` and `skinzoo evaluate --ray` on a local cluster of two workers."""

import csv
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skinzoo.client.local import RunPredictor
from skinzoo.client.sources import read_source
from skinzoo.data.sample import SampleOptions, draw_sample

SKINZOO = Path(sys.executable).with_name("skinzoo")
CLUSTER = """
from skinzoo.scale.cluster import connect
with connect(cpus=2) as ray:
    print(ray.get_runtime_context().gcs_address, flush=True)
    input()
"""
# What float32 gives for another number of threads.
TOLERANCE = 1e-6
SHARD = 32

pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("pyarrow", reason="the extra ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Process and address of a cluster that all tests here join, which saves them its start."""
    with pytest.MonkeyPatch.context() as patch:
        # Ray's own clusters ask for a token, which is else kept in the home of the person who runs the tests.
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield from _cluster()


def _cluster():
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.pid, process.stdout.readline().strip()
        process.stdin.write("\n")


@pytest.fixture(scope="module")
def table(sample_folder, tmp_path_factory):
    """The sample's table four times over, 600 cases; the first has no image, the second no such age."""
    with (sample_folder / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = ["id", "image", "age", "sex", "localization"]
    path = tmp_path_factory.mktemp("cases") / "cases.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        for time_over in range(4):
            for row in rows:
                image = sample_folder / "images" / f"{row['image_id']}.jpg"
                writer.writerow(row | {"id": f"{row['image_id']}-{time_over}", "image": image})
    text = path.read_text().splitlines()
    text[1] = text[1].replace(".jpg", ".gone.jpg", 1)
    text[2] = ",".join([*text[2].split(",")[:2], "999", *text[2].split(",")[3:]])
    path.write_text("\n".join(text) + "\n")
    return path


@pytest.fixture(scope="module")
def expected(table, tiny_run):
    """What one process answers."""
    return list(RunPredictor(tiny_run).classify_many(read_source([table]).cases()))


def start(table, run, cluster, to, *more):
    words = ["predict", table, "--run", run.path, "--ray", "--address", cluster[1], "--to", to]
    words += ["--shard", SHARD]
    return subprocess.Popen(
        [SKINZOO, *map(str, words), *map(str, more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )


def workers_of(cluster):
    """Return the ids of the processes with a model: grandchildren of the one that started the cluster."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_text()
        except (OSError, ValueError):
            continue
    return [
        process
        for process, (parent, command) in found.items()
        if "MapWorker" in command and parent in found and found[parent][0] == cluster[0]
    ]


def shards(to):
    return sorted(to.glob("cases-*.parquet"))


def wait_for(what, process, seconds=240):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def rows_of(to):
    import pyarrow.parquet

    return [row for path in shards(to) for row in pyarrow.parquet.read_table(path).to_pylist()]


def check_equal(found, expected, classes):
    assert [(row["id"], row["image"]) for row in found] == [(one.id, one.image) for one in expected]
    for row, one in zip(found, expected, strict=True):
        assert (row["error"] or "", row["predicted_class"] or "") == (one.error, one.predicted_class)
        mine = [row[f"p_{name}"] for name in classes]
        assert mine == (
            pytest.approx(one.probabilities, abs=TOLERANCE, rel=0) if one.ok else [None] * len(mine)
        )


def sessions(to):
    return json.loads((to / "_manifest.json").read_text())["sessions"]


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_work_only(table, expected, tiny_run, cluster, tmp_path):
    to = tmp_path / "out"
    with start(table, tiny_run, cluster, to, "--workers", 2) as driver:
        wait_for(lambda: shards(to), driver)
        before = {path: path.stat().st_mtime_ns for path in shards(to)}
        victim, *_ = workers_of(cluster)
        os.kill(victim, signal.SIGKILL)
        out, err = driver.communicate(timeout=300)
    assert driver.returncode == 7, err
    assert "598 cases answered by tiny, 2 failed" in out and "cases/s overall" in out
    assert "Traceback" not in err and "raylet" not in out + err
    # The last line ends in a path.
    assert max(map(len, out.splitlines()[:-1])) <= 80
    check_equal(rows_of(to), expected, tiny_run.classes)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    [session] = sessions(to)
    assert session["finished"] and session["cases"] == 600
    assert sum(one["cases"] for one in session["workers"]) == 600
    # The victim is told of where a result of its came before; others did the rest.
    assert {one["worker"].rpartition(":")[2] for one in session["workers"]} - {str(victim)}


def test_a_killed_batch_goes_on_without_doubles(table, expected, tiny_run, cluster, tmp_path):
    to = tmp_path / "out"
    with start(table, tiny_run, cluster, to, "--workers", 2) as driver:
        wait_for(lambda: len(shards(to)) > 2, driver)
        driver.kill()
    end = time.monotonic() + 60
    while workers_of(cluster):
        assert time.monotonic() < end
        time.sleep(0.1)
    before = {path: path.stat().st_mtime_ns for path in shards(to)}
    assert 2 < len(before) < 19
    with start(table, tiny_run, cluster, to, "--workers", 2, "--resume") as driver:
        out, err = driver.communicate(timeout=300)
    assert driver.returncode == 7, err
    assert "598 cases answered by tiny, 2 failed" in out
    check_equal(rows_of(to), expected, tiny_run.classes)
    assert len(shards(to)) == 19
    assert {path: path.stat().st_mtime_ns for path in before} == before
    [session] = sessions(to)
    assert session["cases"] == 600 - sum(24 if "599" in path.name else SHARD for path in before)


@pytest.mark.parametrize("kind", ["run", pytest.param("export", marks=pytest.mark.slow)])
def test_an_evaluation_by_workers_is_that_of_one_process(kind, request, tiny_run, cluster, cli, tmp_path):
    what = [tiny_run.path]
    if kind == "export":
        draw_sample(tmp_path / "sample", SampleOptions(images=90))
        what = [request.getfixturevalue("tiny_export"), "--data", tmp_path / "sample"]
        what += ["--split", tiny_run.path / "split.json"]
    home = {"SKINZOO_HOME": str(tiny_run.path.parents[1])}
    ray = ["--ray", "--workers", 2, "--address", cluster[1]]
    tables = []
    for name, more in {"one": [], "workers": ray}.items():
        words = [*what, "--draws", 100, "--to", tmp_path / name, "--json", *more]
        done = cli("evaluate", *words, env=home)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["provenance"]["part"] == "test"
        with (tmp_path / name / "predictions.csv").open(newline="") as stream:
            tables.append(list(csv.DictReader(stream)))
    for one, mine in zip(*tables, strict=True):
        assert (one["image_id"], one["true"]) == (mine["image_id"], mine["true"])
        numbers = [[float(row[name]) for name in tiny_run.classes] for row in (one, mine)]
        assert numbers[0] == pytest.approx(numbers[1], abs=TOLERANCE, rel=0)


def test_what_is_refused(invoke, table, tiny_run, tmp_path):
    run = ["predict", table, "--run", tiny_run.path]
    cases = {
        ("--workers", 2): "--workers must come with --ray",
        ("--shard", 64): "--shard must come with --ray",
        ("--ray",): "--to FOLDER. Received: no --to",
        ("--ray", "--workers", 999, "--to", tmp_path / "out"): "the number of CPU cores. Received: 999",
        ("--ray", "--to", table): "must be a folder with --ray",
        ("--ray", "--address", "127.0.0.1:1", "--to", tmp_path / "out"): "that of a running Ray cluster",
    }
    for words, said in cases.items():
        done = invoke(*run, *words)
        assert done.code in (2, 6) and said in done.err, (words, done.err)
    done = invoke("predict", table, "--ray", "--to", tmp_path / "out")
    assert done.code == 2 and "--run or --export" in done.err
    for words in (["--tta", "flips"], ["--corrupt"]):
        done = invoke("evaluate", tiny_run.path, "--ray", *words)
        assert done.code == 2 and "must come without --ray" in done.err
    done = invoke("evaluate", tiny_run.path, "--workers", 2)
    assert done.code == 2 and "--workers must come with --ray" in done.err


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_without_ray_each_command_says_how_to_install_it(command, tiny_run, table, tmp_path):
    hidden = "import sys; sys.modules['ray'] = None; from skinzoo.cli import main; main()"
    words = {
        "predict": ["predict", table, "--run", tiny_run.path, "--to", tmp_path / "out", "--ray"],
        "evaluate": ["evaluate", tiny_run.path, "--ray"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert 'pip install "skinzoo[ray]"' in done.stderr and "Traceback" not in done.stderr
