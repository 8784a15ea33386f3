"""Loading weights by layer name."""

import shutil

import keras
import numpy as np
import pytest

from skinzoo.errors import ModelError
from skinzoo.model import build_model, create_model, resolve_variant
from skinzoo.model.weights import _stable_names


def trunk_weights(model):
    return {
        f"{layer.name}/{w.name}": np.asarray(w)
        for layer in model.get_layer("backbone").layers
        for w in layer.weights
    }


@pytest.fixture
def cnn_file(tmp_path):
    path = tmp_path / "cnn.weights.h5"
    model = create_model("cnn")
    model.get_layer("backbone").save_weights(path)
    return path, model


def test_weights_file_is_loaded_by_name(cnn_file):
    path, model = cnn_file
    loaded, report = build_model(resolve_variant("cnn"), weights=path)
    assert len(report.loaded) == 4
    assert report.missing == report.mismatched == report.unused == ()
    for name, value in trunk_weights(model).items():
        np.testing.assert_array_equal(value, trunk_weights(loaded)[name])


def test_keras_file_of_a_whole_variant_is_loaded_by_name(tmp_path):
    model = create_model("cnn", attention="se", classes=3)
    model.save(tmp_path / "run.keras")
    loaded, report = build_model(resolve_variant("cnn"), weights=tmp_path / "run.keras")
    assert len(report.loaded) == 4
    assert "logits" in report.unused
    for name, value in trunk_weights(model).items():
        np.testing.assert_array_equal(value, trunk_weights(loaded)[name])


def test_layers_of_another_shape_and_missing_ones_are_reported(tmp_path):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(32, 3, padding="same", name="conv0")(image)
    x = keras.layers.Conv2D(7, 3, padding="same", name="conv1")(x)
    keras.Model(image, x).save_weights(tmp_path / "other.weights.h5")
    _, report = build_model(resolve_variant("cnn"), weights=tmp_path / "other.weights.h5")
    assert report.loaded == ("conv0",)
    assert report.mismatched == ("conv1",)
    assert report.missing == ("conv2", "conv3")
    assert str(report) == (
        "weights: other.weights.h5: 1 layers loaded, 2 missing, 1 of another shape, 0 of the file unused"
    )


def test_loading_nothing_is_an_error(tmp_path):
    image = keras.Input((4,))
    keras.Model(image, keras.layers.Dense(2, name="alone")(image)).save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(ModelError, match="at least one layer of the backbone 'cnn'"):
        create_model("cnn", weights=tmp_path / "x.weights.h5")


@pytest.mark.slow
def test_auto_numbered_layers_are_matched_whatever_was_built_before(tmp_path):
    first = create_model("inceptionresnetv2", image_size=75)
    network = first.get_layer("backbone")
    network.save_weights(tmp_path / "irv2.weights.h5")
    _, report = build_model(
        resolve_variant("inceptionresnetv2", image_size=75), weights=tmp_path / "irv2.weights.h5"
    )
    assert report.missing == report.mismatched == ()
    assert len(report.loaded) == sum(1 for layer in network.layers if layer.weights)


def test_stable_names_count_from_the_first_of_a_class():
    assert _stable_names(["conv2d_7", "conv2d_9", "stem", "dense"]) == {
        "conv2d_7": "conv2d+0",
        "conv2d_9": "conv2d+2",
        "stem": "stem",
        "dense": "dense+0",
    }


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("absent.weights.h5", None, "which is not a file"),
        ("notes.txt", b"hello", "must end in"),
        ("broken.weights.h5", b"hello", "must be readable HDF5"),
        ("broken.keras", b"hello", "must be readable HDF5"),
    ],
)
def test_bad_files_are_explained(tmp_path, name, content, text):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=text):
        create_model("cnn", weights=path)


def test_truncated_file_is_explained(cnn_file, tmp_path):
    path, _ = cnn_file
    short = tmp_path / "short.weights.h5"
    shutil.copy(path, short)
    with short.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ModelError, match="truncated"):
        create_model("cnn", weights=short)


def test_no_imagenet_weights_for_a_hand_made_backbone():
    with pytest.raises(ModelError, match="there are no ImageNet weights"):
        create_model("cnn", weights="imagenet")


def test_offline_error_names_file_address_and_place(monkeypatch, tmp_path):
    def refused(*args, **kwargs):
        raise OSError("network is unreachable")

    # The download itself is cut off, so that the test means the same with and without a network.
    monkeypatch.setattr("socket.getaddrinfo", refused)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        create_model("efficientnetv2b0", weights="imagenet")
    text = str(caught.value)
    assert "efficientnetv2-b0_notop.h5" in text
    assert "https://" in text
    assert "models" in text
    assert "--weights none" in text


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("variant", "file", "unused"),
    [
        ("mobilenet", "mobilenet.imagenet-approx.weights.h5", True),
        ("mobilenetv2", "mobilenetv2.imagenet-approx.weights.h5", True),
        ("mobilenetv3small", "mobilenetv3small.imagenet-approx.weights.h5", True),
    ],
)
def test_real_files_fill_every_layer_up_to_the_cut(shared, variant, file, unused):
    path = shared / "weights" / file
    model, report = build_model(resolve_variant(variant), weights=path)
    assert report.missing == report.mismatched == ()
    assert bool(report.unused) is unused
    spec = resolve_variant(variant).backbone
    from skinzoo.specs import BackboneRequest

    whole = spec.build(BackboneRequest(input_shape=(224, 224, 3)))
    whole.load_weights(path)
    reference = {layer.name: layer.get_weights() for layer in whole.layers}
    for layer in model.get_layer("backbone").layers:
        for got, expected in zip(layer.get_weights(), reference.get(layer.name, []), strict=False):
            np.testing.assert_array_equal(got, expected)
