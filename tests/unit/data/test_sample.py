"""The built-in sample: seeded, imbalanced, several images a lesion, written once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from skinzoo.data import folders
from skinzoo.data.read import read_dataset
from skinzoo.data.sample import CLASSES, SampleOptions, class_sizes, draw_sample, sample_folder
from skinzoo.data.table import class_counts, fingerprint
from skinzoo.errors import DataError, UsageError

TINY = SampleOptions(images=42, width=32)


@pytest.fixture(scope="module")
def table(sample_folder):
    return read_dataset(sample_folder)


def picture(path, size=None):
    with Image.open(path) as image:
        return np.asarray(image.resize(size, Image.Resampling.BOX) if size else image)


def test_default_sample_has_the_imbalance_of_ham10000():
    sizes = class_sizes(420)
    assert sum(sizes.values()) == 420
    assert sizes["nv"] > 0.5 * 420
    assert min(sizes.values()) == 20
    assert sizes["mel"] == round(420 * 1113 / 10015)


@pytest.mark.parametrize("images", [42, 60, 150, 420, 2000])
def test_every_class_is_there_in_any_size(images):
    sizes = class_sizes(images)
    assert tuple(sizes) == CLASSES
    assert sum(sizes.values()) == images
    assert min(sizes.values()) >= 6


def test_table_of_the_sample(table):
    assert table.attrs["dataset"] == "sample"
    assert table.attrs["classes"] == CLASSES
    assert class_counts(table) == class_sizes(150)
    images = table.groupby("lesion_id").size()
    assert images.max() > 1
    assert (images == 1).any()
    assert (table.groupby("lesion_id")["label"].nunique() == 1).all()
    assert (table.groupby("label")["lesion_id"].nunique() >= 10).all()
    assert (table.groupby("lesion_id")["age"].nunique(dropna=False) == 1).all()
    assert "results on them say nothing" in " ".join(table.attrs["notes"])


def test_metadata_depend_on_the_class_and_some_are_missing():
    from skinzoo.data.sample import Lesion, _metadata

    facts = {
        label: [_metadata(Lesion(n, label, 1), np.random.default_rng([7, n])) for n in range(400)]
        for label in CLASSES
    }
    ages = {label: np.mean([float(row[1]) for row in rows if row[1]]) for label, rows in facts.items()}
    assert ages["bcc"] - ages["nv"] > 15
    legs = {label: np.mean([row[3] == "lower extremity" for row in rows]) for label, rows in facts.items()}
    assert legs["df"] > 0.5 > legs["bcc"]
    everything = [row for rows in facts.values() for row in rows]
    for column, missing in ((1, ""), (2, "unknown"), (3, "unknown")):
        share = np.mean([row[column] == missing for row in everything])
        assert 0.005 < share < 0.06
    assert {row[0] for row in facts["mel"]} == {"histo"}


def test_images_are_photographs_of_the_asked_size(table):
    pictures = [picture(path).astype(float) for path in table["image_path"]]
    assert all(found.shape == (48, 64, 3) and found.std() > 5 for found in pictures)
    flat = np.stack([found.ravel() for found in pictures])
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_same_seed_same_files_other_seed_other_files(tmp_path):
    folders_ = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders_, (0, 0, 1), strict=True):
        draw_sample(folder, SampleOptions(images=42, width=32, seed=seed))
    marks = [fingerprint(read_dataset(folder)) for folder in folders_]
    assert marks[0] == marks[1] != marks[2]
    first = sorted((folders_[0] / "images").iterdir())
    assert all(path.read_bytes() == (folders_[1] / "images" / path.name).read_bytes() for path in first)


def test_classes_look_different_but_not_by_one_colour_alone(table):
    """A linear classifier on 5x5 mean colours clearly beats chance on other lesions, without solving it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.stack([picture(path, (5, 5)).ravel() for path in table["image_path"]]).astype(float)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, class_weight="balanced", max_iter=500))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(model, x, table["label"], groups=table["lesion_id"], cv=folds)
    score = balanced_accuracy_score(table["label"], found)
    assert 2 / 7 < score < 0.95


def test_folder_is_made_once_and_named_by_its_options():
    start = time.perf_counter()
    folder = sample_folder(TINY)
    drawn = time.perf_counter() - start
    assert folder.name == f"sample-{TINY.key}"
    assert json.loads((folder / "sample.json").read_text())["images"] == 42
    stamp = (folder / "metadata.csv").stat().st_mtime_ns
    start = time.perf_counter()
    assert sample_folder(TINY) == folder
    assert time.perf_counter() - start < drawn
    assert (folder / "metadata.csv").stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    keys = {SampleOptions(images=42, width=32, seed=seed).key for seed in range(3)}
    assert len(keys | {SampleOptions().key}) == 4


def _draw(home):
    os.environ["SKINZOO_HOME"] = home
    sample_folder(TINY)


def test_two_processes_may_draw_it_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_draw, args=(str(tmp_path),)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    (folder,) = (tmp_path / "datasets").iterdir()
    assert len(read_dataset(folder)) == 42


def test_a_killed_build_leaves_nothing_that_counts(tmp_path, monkeypatch):
    script = "from skinzoo.data.sample import *; sample_folder(SampleOptions(images=2000, width=64))"
    worker = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "SKINZOO_HOME": str(tmp_path)}
    )
    datasets = tmp_path / "datasets"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(datasets.glob(".making-*/images/*.jpg")):
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    (left,) = datasets.iterdir()
    assert left.name.startswith(".making-")

    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path))
    folder = sample_folder(TINY)
    assert len(read_dataset(folder)) == 42
    assert left.exists()
    monkeypatch.setattr(folders, "STALE_SECONDS", -1.0)
    other = sample_folder(SampleOptions(images=42, width=32, seed=5))
    assert sorted(datasets.iterdir()) == sorted([folder, other])


def test_a_home_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="The sample must be writable"):
        sample_folder(TINY)


def test_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path))

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        sample_folder(TINY)
    assert "SKINZOO_HOME" in caught.value.hint
    assert list((tmp_path / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [({"images": 10}, "at least 42"), ({"width": 8}, "32..1024"), ({"seed": -1}, "not be negative")],
)
def test_options_out_of_range(options, text):
    with pytest.raises(UsageError, match=text):
        SampleOptions(**options)
