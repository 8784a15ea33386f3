"""`skinzoo train` with real weights on some real images, as a user calls it."""

import csv
import json

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
