"""Trainings that are stopped go on as if nothing had happened: real processes, real signals."""

import random
import signal
import textwrap
import time

import pytest

from skinzoo.training.runs import RunFolder

from .conftest import TINY, command, program_of, same_weights, weights_of, without_times

SETTINGS = [
    argument
    for text in (*TINY, "training.epochs=4", "training.checkpoint_minutes=0", "training.small_epochs=2")
    if text not in ("training.epochs=3", "training.small_epochs=0")
    for argument in ("--set", text)
]


def start(home, runs, name):
    return command(
        *("train", "cnn", "--deterministic", "--threads", "1", "--out", str(runs), "--name", name, *SETTINGS),
        home=home,
    )


def go_on(home, run):
    return command("train", "--resume", str(run), home=home)


@pytest.fixture(scope="module")
def uninterrupted(sample_home, tmp_path_factory):
    runs = tmp_path_factory.mktemp("reference")
    process = start(sample_home, runs, "whole")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return RunFolder(runs / "whole")


def assert_same(run, reference):
    assert without_times(run.history()) == without_times(reference.history())
    assert same_weights(weights_of(run), weights_of(reference))
    assert run.card()["best_epoch"] == reference.card()["best_epoch"]


def kill_and_go_on(home, runs, name, kills, seed):
    """Start a run, kill it at random points, and go on with it each time until it ends."""
    source = random.Random(seed)
    run = runs / name
    process, left = start(home, runs, name), kills
    for _ in range(20 * kills):
        if left:
            # The process is shot at any time from before its first step to its end.
            begun = time.monotonic()
            while not (run / "config.json").exists() and process.poll() is None:
                time.sleep(0.01)
            pause = source.uniform(0.0, 8.0)
            while time.monotonic() - begun < pause and process.poll() is None:
                time.sleep(0.01)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                left -= 1
        _, err = process.communicate()
        if process.returncode == 0:
            return RunFolder(run), kills - left
        assert process.returncode == -signal.SIGKILL, err
        process = go_on(home, run)
    raise AssertionError("the run did not end")


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_runs_end_as_if_they_had_not_been(sample_home, uninterrupted, tmp_path, kills):
    done = 0
    for seed in range(kills):
        run, count = kill_and_go_on(sample_home, tmp_path, f"killed-{seed}", kills - done, seed)
        assert_same(run, uninterrupted)
        done += count
        assert not list(run.path.glob("**/*.part")), "nothing half written may be left"
        if done >= kills:
            break
    assert done >= kills


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_and_exits_130(sample_home, uninterrupted, tmp_path, number):
    process = start(sample_home, tmp_path, "stopped")
    wait_for_step(tmp_path / "stopped")
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 130, err
    last = err.strip().splitlines()[-1]
    assert last.startswith(("Stopped in epoch", "Stopped after epoch"))
    assert f"everything is saved. Go on with: skinzoo train --resume {tmp_path / 'stopped'}" in last
    run = RunFolder(tmp_path / "stopped")
    assert run.state == "stopped"
    process = go_on(sample_home, run.path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"skinzoo evaluate {run.path}" in out
    assert_same(run, uninterrupted)


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(sample_home, uninterrupted, tmp_path):
    # Steps far longer than the test, so that only the second signal can end the process in time.
    program = textwrap.dedent(
        """
        import sys, time
        from skinzoo.training.loop import Loop

        report = Loop._report
        def slow(self, *given):
            report(self, *given)
            if self.state.step == 3:
                print("slow step", flush=True)
                time.sleep(600)
        Loop._report = slow

        from skinzoo.cli import main
        sys.argv = ["skinzoo", *sys.argv[1:]]
        main()
        """
    )
    arguments = ["train", "cnn", "--deterministic", "--threads", "1", "--out", str(tmp_path)]
    process = program_of(program, *arguments, "--name", "twice", *SETTINGS, home=sample_home)
    assert process.stdout.readline() == "slow step\n"
    process.send_signal(signal.SIGINT)
    assert "once more stops now" in next(line for line in process.stderr if "Stopping" in line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    run = RunFolder(tmp_path / "twice")
    assert err.strip() == (
        "Stopped at once. The run 'twice' is kept; of its steps the first 2 of epoch 1 and those before "
        f"are saved. Go on with: skinzoo train --resume {run.path}"
    )
    process = go_on(sample_home, run.path)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert_same(run, uninterrupted)


def wait_for_step(run):
    store = RunFolder(run).checkpoints
    for _ in range(60_000):
        found = [int(path.name.split("-")[1]) for path in store.folder.glob("state-*")]
        if found and max(found) > 2:
            return
        time.sleep(0.01)
    raise AssertionError("no step was made")
