"""Schedules, watches, orders, runs, locks, checkpoints: what needs no training."""

import json
import math
import multiprocessing
import subprocess
import sys
import textwrap
from datetime import datetime

import numpy as np
import pytest

from skinzoo.config import make_config
from skinzoo.data.order import Shuffled
from skinzoo.errors import ModelError, UsageError
from skinzoo.model import create_model
from skinzoo.settings import ScheduleSettings
from skinzoo.training.checkpoints import CheckpointStore
from skinzoo.training.lock import is_locked, locked
from skinzoo.training.order import FixedLength
from skinzoo.training.runs import best_row, find_run, list_runs, new_name
from skinzoo.training.schedule import Phase, phases
from skinzoo.training.smaller import small_size, smaller
from skinzoo.training.watch import Watch
from skinzoo.variants import resolve_variant


def phase(**schedule):
    return Phase("whole", 1, 11, 0.1, ScheduleSettings(**schedule))


def test_cosine_rises_to_its_peak_and_ends_low():
    one = phase(name="cosine", warmup_epochs=2.0, final_fraction=0.01)
    rates = [one.rate(epoch, step, 10) for epoch in range(1, 11) for step in range(10)]
    assert 0 < rates[0] < 0.006
    assert rates[:20] == sorted(rates[:20])
    assert rates[20] == pytest.approx(0.1)
    assert rates[20:] == sorted(rates[20:], reverse=True)
    middle = 0.1 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.5)))
    assert one.rate(7, 0, 10) == pytest.approx(middle)
    assert one.rate(10, 9, 10) == pytest.approx(0.001, rel=0.1)


def test_steps_of_the_papers():
    yao = Phase("whole", 0, 70, 1e-3, ScheduleSettings(name="steps", factor=0.1, start=30, every=10))
    assert [yao.rate(e, 0, 5) for e in (0, 29, 30, 39, 40, 69)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-7]
    )
    gessert = Phase("whole", 0, 100, 1e-4, ScheduleSettings(name="steps", factor=0.5, every=25))
    assert [gessert.rate(e, 0, 5) for e in (24, 25, 50, 99)] == pytest.approx([1e-4, 5e-5, 2.5e-5, 1.25e-5])


def test_plateau_ends_at_its_minimum():
    one = phase(name="plateau", minimum=1e-3)
    assert one.rate(5, 0, 10, 0.2) == pytest.approx(0.02)
    assert one.rate(5, 0, 10, 1e-9) == pytest.approx(1e-3)
    assert phase(name="constant").rate(5, 3, 10) == 0.1


def test_phases():
    config = make_config("cnn", assignments=["training.epochs=5", "training.head_epochs=2"])
    assert [(p.name, p.start, p.stop) for p in phases(config, pretrained=True)] == [
        ("head", 0, 2),
        ("whole", 2, 5),
    ]
    assert [(p.name, p.start, p.stop) for p in phases(config, pretrained=False)] == [("whole", 0, 5)]
    short = config.changed("training", epochs=1)
    assert [(p.name, p.stop) for p in phases(short, pretrained=True)] == [("whole", 1)]
    frozen = config.changed("training", freeze_backbone=True)
    assert [(p.name, p.start, p.stop) for p in phases(frozen, pretrained=True)] == [("head", 0, 5)]


def test_phases_on_smaller_images_share_schedule_and_optimiser_with_those_behind():
    config = make_config("cnn", assignments=["training.epochs=9", "training.small_epochs=4"])

    def found(pretrained, small=True, **training):
        changed = config.changed("training", **training)
        return [
            (p.name, p.start, p.stop, p.small, p.since)
            for p in phases(changed, pretrained=pretrained, small=small)
        ]

    assert found(False) == [("small", 0, 4, True, 0), ("whole", 4, 9, False, 0)]
    assert found(True, head_epochs=1) == [
        ("head", 0, 1, True, 0),
        ("small", 1, 4, True, 1),
        ("whole", 4, 9, False, 1),
    ]
    assert found(True, head_epochs=5) == [("head", 0, 5, False, 0), ("whole", 5, 9, False, 5)]
    assert found(False, small_epochs=20) == [("small", 0, 4, True, 0), ("whole", 4, 9, False, 0)]
    assert found(False, small=False) == [("whole", 0, 9, False, 0)]
    small, whole = phases(config, pretrained=False, small=True)
    rates = [(small if epoch < 4 else whole).rate(epoch, 0, 10) for epoch in range(9)]
    [only] = phases(config, pretrained=False)
    assert rates == [only.rate(epoch, 0, 10) for epoch in range(9)]


@pytest.mark.parametrize(
    ("variant", "share", "size", "wanted"),
    [
        ("mobilenetv2", 0.6, 160, 96),
        ("mobilenetv2", 0.6, 224, 128),
        ("mobilenetv2", 0.6, 40, 32),
        # They take no fewer than 75 and 32 pixels.
        ("inceptionresnetv2", 0.3, 160, 80),
        ("mobilenetv2", 0.3, 32, 32),
    ],
)
def test_sides_of_smaller_images(variant, share, size, wanted):
    config = make_config(variant, assignments=[f"training.small_share={share}"])
    assert small_size(config, resolve_variant(variant, image_size=size)) == wanted


def test_a_network_whose_weights_depend_on_the_size_says_so():
    config = make_config("cnn", assignments=["training.small_epochs=2"])
    flattened = create_model("cnn", pooling="flatten")
    found, reason = smaller(config, resolve_variant("cnn", pooling="gap"), flattened)
    assert found is None
    assert reason.startswith("No epochs on smaller images than 32 pixels: Images of 16 pixels must give")


def test_watch_remembers_and_counts():
    watch = Watch("val_loss", min_delta=0.1)
    improved = [watch.update({"epoch": i + 1, "val_loss": v}) for i, v in enumerate([1.0, 0.95, 0.8, 0.9])]
    assert improved == [True, False, True, False]
    assert (watch.best, watch.epoch, watch.wait) == (0.8, 3, 1)
    assert Watch(**json.loads(json.dumps(watch.as_dict()))) == watch
    up = Watch("val_accuracy")
    assert [up.update({"epoch": i, "val_accuracy": v}) for i, v in enumerate([0.5, 0.5, 0.6])] == [
        True,
        False,
        True,
    ]


def test_the_best_row_is_the_first_of_the_best():
    rows = [{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": 1.0}, {"epoch": 3, "val_loss": 1.0}]
    assert best_row(rows, "val_loss")["epoch"] == 2
    assert best_row([], "val_loss") is None


def test_epochs_of_a_fixed_length():
    order = FixedLength(Shuffled(5, seed=1), 12)
    rows = order(0)
    assert len(rows) == 12
    rows = np.concatenate([rows, order(1), order(2)])
    # No row comes again before its pass is over, wherever an epoch ends.
    assert all(sorted(rows[start : start + 5]) == list(range(5)) for start in range(0, 35, 5))
    assert np.array_equal(order(3), FixedLength(Shuffled(5, seed=1), 12)(3))


def make_runs(folder, **begun):
    for name, started in begun.items():
        run = folder / name.replace("_", "-")
        run.mkdir(parents=True)
        (run / "config.json").write_text(
            json.dumps({"config": make_config("cnn").as_dict(), "resolved": {}, "recipe_hash": "x"})
        )
        (run / "environment.json").write_text(json.dumps({"started": started}))


def test_runs_are_found_by_path_name_prefix_and_age(tmp_path):
    make_runs(tmp_path, cnn_default_1="2026-01-02", cnn_default_2="2026-01-01", cnn_paper_1="2025-01-01")
    assert find_run("latest", tmp_path).name == "cnn-default-1"
    assert find_run("cnn-paper-1", tmp_path).name == "cnn-paper-1"
    assert find_run("cnn-p", tmp_path).name == "cnn-paper-1"
    assert find_run(tmp_path / "cnn-default-2").name == "cnn-default-2"
    with pytest.raises(UsageError, match="which fits 2: cnn-default-1, cnn-default-2"):
        find_run("cnn-default", tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'cnn-paper-1'"):
        find_run("cnn-papper-1", tmp_path)
    with pytest.raises(UsageError, match="There are no runs"):
        find_run("latest", tmp_path / "none")
    assert [run.name for run in list_runs(tmp_path)] == ["cnn-paper-1", "cnn-default-2", "cnn-default-1"]
    assert {run.state for run in list_runs(tmp_path)} == {"stopped"}


def test_a_damaged_run_is_listed_with_its_problem(tmp_path):
    make_runs(tmp_path, broken="2026-01-01")
    (tmp_path / "broken" / "config.json").write_text("{")
    (found,) = list_runs(tmp_path)
    assert found.state == "failed"
    assert "readable config.json" in found.problem


def test_names_of_runs():
    assert new_name("cnn", "paper", datetime(2026, 1, 2, 3, 4, 5)) == "cnn-paper-20260102-030405"


def hold(path, held, release):
    with locked(path):
        held.set()
        release.wait(30)


def test_a_lock_is_held_by_one_process_and_dies_with_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    assert held.wait(30)
    assert is_locked(tmp_path)
    with pytest.raises(UsageError, match=f"used by process {process.pid}"), locked(tmp_path):
        pass
    process.kill()
    process.join()
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def arrays(value):
    return {"model": [np.full((2, 3), value, np.float32), np.array(value)], "optimizer": []}


def test_the_newest_checkpoint_replaces_the_others(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.latest() is None
    store.save({"best": {"epoch": None}}, arrays(1))
    store.save_best(1, [np.ones(3)])
    store.save_best(2, [np.full(3, 2.0)])
    store.save({"best": {"epoch": 2}, "step": 5}, arrays(7))
    newest = store.latest()
    assert newest.number == 1
    assert newest.state["step"] == 5
    np.testing.assert_array_equal(newest.variables()["model"][0], np.full((2, 3), 7))
    np.testing.assert_array_equal(store.best(2)[0], np.full(3, 2.0))
    assert sorted(path.name for path in store.folder.iterdir()) == ["best-00000002", "state-00000001"]
    store.prune()
    assert sorted(path.name for path in store.folder.iterdir()) == ["best-00000002"]


def test_what_a_kill_leaves_is_not_taken_for_a_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save({"best": None}, arrays(1))
    half = tmp_path / ".state-00000009.abcd.part"
    half.mkdir()
    (half / "state.json").write_text("{")
    assert store.latest().number == 0
    store.save({"best": None}, arrays(2))
    assert not half.exists()


def test_a_damaged_checkpoint_is_an_error_that_says_so(tmp_path):
    store = CheckpointStore(tmp_path)
    saved = store.save({"best": None}, arrays(1))
    content = (saved.path / "variables.npz").read_bytes()
    (saved.path / "variables.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="must be complete"):
        store.latest().variables()
    (saved.path / "state.json").write_text("{")
    with pytest.raises(ModelError, match="must be complete"):
        store.latest()


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from skinzoo.errors import ModelError
        from skinzoo.training.checkpoints import CheckpointStore

        store = CheckpointStore(Path(sys.argv[1]))
        store.save({"best": None, "step": 1}, {"model": [np.zeros(10)]})
        # Writes beyond the limit fail as they do on a disk that is full.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            store.save({"best": None, "step": 2}, {"model": [np.zeros(100_000)]})
        except ModelError as error:
            print(error)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "must have room" in result.stdout
    assert "--resume" in result.stdout
    store = CheckpointStore(tmp_path)
    assert store.latest().state["step"] == 1
    assert len(store.latest().variables()["model"][0]) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["state-00000000"]
