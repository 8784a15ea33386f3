"""`skinzoo sweep` as a real process: the same as single runs, goes on, and survives what is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SET = """
[set]
data.options.images = 90
data.protocol_options.folds = 3
training.batch_size = 8
training.epochs = {epochs}
optimizer.clip_norm = "none"
"""
# Arithmetic in one thread is the same each time.
TEXT = """
name = "s"
variants = ["cnn"]
seeds = {seeds}
data = "sample"
{set}
[grid]
{grid}
[bounds]
cpus = 1
"""
SINGLE_RUNS = """
import json, sys
from pathlib import Path
from skinzoo.training.request import TrainRequest, resolve_request
from skinzoo.training.trainer import train

for trial in json.loads(sys.argv[1]):
    given = (
        "data.options.images=90", "data.protocol_options.folds=3", "training.batch_size=8",
        "training.epochs=1", "optimizer.clip_norm=none", "hardware.threads=1",
        f"training.seed={trial['seed']}",
        f"optimizer.learning_rate={trial['settings']['optimizer.learning_rate']}",
    )
    config, _ = resolve_request(TrainRequest(variant="cnn", data="sample", assignments=given))
    train(config, folder=Path(sys.argv[2]), name=trial["run"])
"""
WAIT = 600
HISTORY = ("epoch", "phase", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1")


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


def write(folder, grid, *, seeds=(0,), epochs=1, more=""):
    path = folder / "sweep.toml"
    path.write_text(TEXT.format(seeds=list(seeds), grid=grid, set=SET.format(epochs=epochs)) + more)
    return path


def history(run):
    if not (run / "history.csv").exists():
        return []
    with (run / "history.csv").open(newline="") as stream:
        return [{key: row[key] for key in HISTORY} for row in csv.DictReader(stream)]


def runs_of(home):
    return sorted(path for path in (home / "runs").iterdir() if (path / "config.json").exists())


def result_of(home):
    return json.loads((home / "runs" / "s.sweep" / "sweep.json").read_text())


def snapshot(home):
    return {file: file.stat().st_mtime_ns for run in runs_of(home) for file in run.rglob("*.json")}


class Sweeping:
    """A sweep in the background."""

    def __init__(self, *arguments, home):
        self.log = home / "sweep.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("skinzoo"), "sweep", *map(str, arguments)],
                stdout=log,
                stderr=log,
                env={**os.environ, "SKINZOO_HOME": str(home)},
                start_new_session=True,
            )

    def until(self, holds):
        end = time.monotonic() + WAIT
        while not (found := holds()):
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.1)
        return found

    def children(self, named):
        """Processes that a word of the command line tells, among the descendants of the sweep."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        ours, found = {str(self.process.pid)}, []
        for _ in range(len(rows)):
            more = {pid for pid, parent, *_ in rows if parent in ours} - ours
            if not more:
                break
            ours |= more
        for pid, _, *rest in rows:
            if pid in ours and rest and named in rest[0]:
                found.append(int(pid))
        return found

    def wait(self):
        code = self.process.wait(WAIT)
        return code, self.log.read_text()


def parent_of(pid):
    return int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])


def run(*arguments, home, timeout=WAIT):
    return subprocess.run(
        [Path(sys.executable).with_name("skinzoo"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "SKINZOO_HOME": str(home)},
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of two trials, one of which cannot train, whose first process was killed."""
    folder = tmp_path_factory.mktemp("swept")
    home = folder / "home"
    home.mkdir()
    # A decay that multiplies weights by a thousand million in each step.
    file = write(folder, "optimizer.weight_decay = [0.0, 1e9]", epochs=2)
    sweeping = Sweeping(file, home=home)
    (child,) = sweeping.until(lambda: sweeping.children("skinzoo.scale.trial_process"))
    again = run("sweep", file, home=home)
    os.kill(child, signal.SIGKILL)
    code, said = sweeping.wait()
    return file, home, child, again, code, said


def test_a_killed_process_costs_its_own_work_and_a_failed_trial_itself(swept):
    _, home, child, again, code, said = swept
    assert f"Process {child} was ended by SIGKILL" in said
    assert code == 7, said
    assert "1 of 2 that failed" in said
    assert "Traceback" not in said
    assert again.returncode == 2
    assert "in use by another process" in again.stderr
    result = result_of(home)
    assert [one["state"] for one in result["trials"]] == ["finished", "failed"]
    assert "must be finite" in result["trials"][1]["message"]
    (group,) = result["comparison"]["groups"]
    assert [one["name"] for one in group["runs"]] == [result["trials"][0]["run"]]
    assert group["runs"][0]["provenance"]["part"] == "validation"
    finished = home / "runs" / result["trials"][0]["run"]
    assert [path.name for path in (finished / "evaluation").iterdir()] == ["validation"]


def test_the_best_setting_trains_to_the_same_result_by_itself(swept):
    _, home, *_ = swept
    result = result_of(home)
    arguments = ("--data", "sample", "--threads", "1", "--seed", "0", "--name", "single")
    done = run("train", "cnn", "--config", result["best"], *arguments, "--out", home / "alone", home=home)
    assert done.returncode == 0, done.stderr
    assert history(home / "alone" / "single") == history(home / "runs" / result["trials"][0]["run"])


def test_the_same_sweep_again_trains_nothing_twice(swept):
    file, home, *_ = swept
    before = snapshot(home)
    done = run("sweep", file, home=home)
    assert done.returncode == 7
    assert "2 of 2 trials are settled already" in done.stderr
    assert snapshot(home) == before


def test_ray_gives_the_same_and_survives_a_killed_worker(swept, home):
    file, alone, *_ = swept
    sweeping = Sweeping(file, "--ray", home=home)
    child = sweeping.until(lambda: sweeping.children("skinzoo.scale.trial_process"))[0]
    worker = parent_of(child)
    assert worker != sweeping.process.pid
    os.kill(worker, signal.SIGKILL)
    code, said = sweeping.wait()
    assert code == 7, said
    assert "Traceback" not in said
    results = [result_of(one)["trials"] for one in (alone, home)]
    assert results[0] == results[1]
    for one in runs_of(alone):
        assert history(one) == history(home / "runs" / one.name)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(home, tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-3]", epochs=300)
    sweeping = Sweeping(file, home=home)
    sweeping.until(lambda: "epoch 2 (whole)" in sweeping.log.read_text())
    (child,) = sweeping.children("skinzoo.scale.trial_process")
    os.kill(child, signal.SIGKILL)
    sweeping.until(lambda: "epoch " in sweeping.log.read_text().partition("by SIGKILL")[2])
    assert sweeping.log.read_text().count("epoch 1 (whole)") == 1, "it went on behind its last checkpoint"
    sweeping.process.send_signal(signal.SIGINT)
    code, said = sweeping.wait()
    assert code == 130, said
    assert "The same command goes on" in said
    (only,) = runs_of(home)
    done = history(only)
    assert not (only / "card.json").exists()
    shown = json.loads(run("sweep", file, "--dry-run", "--json", home=home).stdout)["trials"]
    assert [(one["state"], one["epochs"]) for one in shown] == [("stopped", len(done))]
    sweeping = Sweeping(file, home=home)
    sweeping.until(lambda: len(history(only)) > len(done))
    sweeping.process.send_signal(signal.SIGTERM)
    assert sweeping.wait()[0] == 130
    assert history(only)[: len(done)] == done


@pytest.mark.slow
def test_asha_stops_trials_that_are_listed_and_not_repeated(home, tmp_path):
    grid = "optimizer.learning_rate = [1e-5, 1e-2, 1e-3]"
    more = "at_once = 1\n[asha]\ngrace_epochs = 1\nreduction_factor = 2\n"
    file = write(tmp_path, grid, epochs=3, more=more)
    done = run("sweep", file, "--ray", home=home)
    assert done.returncode == 0, done.stderr
    trials = result_of(home)["trials"]
    assert [one["state"] for one in trials] == ["finished", "stopped early", "stopped early"]
    assert [one["epochs"] for one in trials] == [3, 1, 1]
    assert "stopped early after epoch 1" in done.stderr
    again = run("sweep", file, "--ray", home=home)
    assert "3 of 3 trials are settled already" in again.stderr
    # What was settled before is what a further trial is compared with.
    file.write_text(file.read_text().replace("1e-3]", "1e-3, 1e-7]"))
    more = run("sweep", file, "--ray", home=home)
    assert more.returncode == 0, more.stderr
    assert [one["epochs"] for one in result_of(home)["trials"]][:3] == [3, 1, 1]


@pytest.mark.slow
def test_twelve_trials_are_twelve_single_runs_however_they_are_run(tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-2, 1e-3, 1e-4]", seeds=range(4))
    homes = [tmp_path / "one", tmp_path / "ray"]
    for home, option in zip(homes, ([], ["--ray"]), strict=True):
        done = run("sweep", file, *option, home=home, timeout=1800)
        assert done.returncode == 0, done.stderr
    first = result_of(homes[0])["trials"]
    assert len(first) == 12
    assert {one["state"] for one in first} == {"finished"}
    assert result_of(homes[1])["trials"] == first
    # What `skinzoo train` does, with its imports done once.
    trained = subprocess.run(
        [sys.executable, "-c", SINGLE_RUNS, json.dumps(first), tmp_path / "single"],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    for one in first:
        whole = history(tmp_path / "single" / one["run"])
        assert len(whole) == 1
        assert all(history(home / "runs" / one["run"]) == whole for home in homes)
    before = snapshot(homes[1])
    assert run("sweep", file, "--ray", home=homes[1]).returncode == 0
    assert snapshot(homes[1]) == before


@pytest.mark.slow
def test_a_trial_beyond_its_memory_is_ended(home, tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-3]", more="memory = 0.1\n")
    done = run("sweep", file, home=home)
    assert done.returncode == 7, done.stderr
    assert "must stay within its memory" in done.stderr


@pytest.mark.slow
def test_a_trial_that_no_machine_can_hold_is_refused(home, tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-3]", more="gpus = 64\n")
    done = run("sweep", file, "--ray", home=home)
    assert done.returncode == 2, done.stderr
    assert "must fit a machine of the Ray cluster" in done.stderr


def test_a_cluster_that_is_not_there_is_said_so(home, tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-3]")
    done = run("sweep", file, "--address", "127.0.0.1:1", home=home)
    assert done.returncode == 6
    assert "must be that of a running Ray cluster" in done.stderr


def test_a_dry_run_lists_the_trials_and_makes_nothing(home, tmp_path):
    file = write(tmp_path, "optimizer.learning_rate = [1e-3, 1e-4]", seeds=(0, 1))
    done = run("sweep", file, "--dry-run", home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to do") == 4
    assert "4 trials, chosen by val_balanced_accuracy" in done.stdout
    assert not list(home.iterdir())
