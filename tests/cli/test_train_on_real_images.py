"""`skinzoo train` with real weights on some real images, as a user calls it."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

PER_CLASS = 12


@pytest.fixture
def some_images(ham10000, tmp_path):
    """Return a folder with some images of each class, laid out as the whole dataset is."""
    folder = tmp_path / "ham10000"
    (folder / "images").mkdir(parents=True)
    with (ham10000 / "HAM10000_metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = []
    for name in sorted({row["dx"] for row in rows}):
        lesions = {row["lesion_id"]: row for row in rows if row["dx"] == name}
        chosen += list(lesions.values())[:PER_CLASS]
    paths = {path.stem: path for path in ham10000.glob("HAM10000_images_part_*/*.jpg")}
    for row in chosen:
        (folder / "images" / f"{row['image_id']}.jpg").symlink_to(paths[row["image_id"]])
    with (folder / "HAM10000_metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    return folder


@pytest.mark.realdata
def test_real_weights_on_real_images_end_with_a_model(cli, shared, some_images, tmp_path):
    import skinzoo

    weights = next((shared / "weights").glob("mobilenetv3small*.weights.h5"))
    result = cli(
        *("train", "mobilenetv3small", "--recipe", "default", "--data", some_images, "--weights", weights),
        *("--image-size", "96", "--epochs", "2", "--batch-size", "8", "--name", "real"),
        *("--set", "training.steps_per_epoch=3", "--out", tmp_path / "runs"),
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    assert "epoch 1 (head)" in result.stderr
    assert "epoch 2 (whole)" in result.stderr
    run = skinzoo.load_run(tmp_path / "runs" / "real")
    card = json.loads((run.path / "card.json").read_text())
    assert card["weights"]["origin"] == weights.name
    assert (card["weights"]["missing"], card["recipe"]) == (0, "default")
    images = sorted((some_images / "images").iterdir())[:3]
    probabilities = run.predict([{"image": path, "age": 50, "sex": "male"} for path in images])
    assert probabilities.shape == (3, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.realdata
def test_from_the_whole_folder_to_answers_of_a_server(cli, ham10000, tmp_path):
    # The command of the README's first lines, kept to a few steps.
    result = cli(
        *("train", "nasnetmobile", "--data", ham10000, "--epochs", "1", "--name", "real"),
        *("--set", "training.steps_per_epoch=3", "--out", tmp_path / "runs"),
        timeout=1200,
    )
    assert result.returncode == 0, result.stderr
    assert "8,011 train, 1,002 validation, 1,002 test cases" in result.stderr
    assert "nasnetmobile" in cli("list").stdout
    exported = cli("export", tmp_path / "runs" / "real", "--to", tmp_path / "exports", timeout=600)
    assert exported.returncode == 0, exported.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "serve", str(tmp_path / "exports"), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        images = sorted((ham10000 / "HAM10000_images_part_1").glob("*.jpg"))[:20]
        answered = cli(
            *("predict", *images, "--server", f"127.0.0.1:{port}", "--wait", "300"),
            *("--age", "55", "--sex", "female", "--localization", "back", "--format", "jsonl"),
            timeout=600,
        )
        assert answered.returncode == 0, answered.stderr
        rows = [json.loads(line) for line in answered.stdout.splitlines()]
        assert [row["id"] for row in rows] == list(map(str, images))
        assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4) for row in rows)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    assert server.returncode == 0
