"""A finished export, looked at from outside."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import skinzoo
from skinzoo.errors import DataError, MissingExtraError, ModelError, UsageError
from skinzoo.evaluation.calibration import Calibration
from skinzoo.evaluation.predictions import Predictions
from skinzoo.export import names
from skinzoo.export.card import read_card
from skinzoo.export.converters import Converter
from skinzoo.export.golden import read_golden
from skinzoo.export.of_run import export_run
from skinzoo.export.parity import prove

EVERY = ("classify", "decode", "explain", "features", "image_only", "serving_default", "tensors")
METADATA = {"age", "sex", "localization"}
ANSWER = {"probabilities", "classes", "predicted_class"}


@pytest.fixture(scope="module")
def golden(tiny_export):
    return read_golden(tiny_export / names.EXTRA_FOLDER / names.GOLDEN_FILE)


@pytest.fixture(scope="module")
def signatures(tiny_export):
    loaded = tf.saved_model.load(str(tiny_export))
    # The signatures do not keep what they belong to.
    yield loaded.signatures
    del loaded


def test_the_signatures_are_those_of_the_contract(tiny_export):
    card = read_card(tiny_export)
    assert tuple(sorted(card.signatures)) == EVERY
    taken = {name: set(one["inputs"]) for name, one in card.signatures.items()}
    given = {name: set(one["outputs"]) for name, one in card.signatures.items()}
    files = {"image_bytes", *METADATA}
    assert taken == {
        "serving_default": files,
        "explain": files,
        "features": files,
        "image_only": {"image_bytes"},
        "decode": {"image_bytes"},
        "tensors": {"image", *METADATA},
        "classify": {"inputs"},
    }
    assert given == {
        "serving_default": ANSWER,
        "image_only": ANSWER,
        "tensors": ANSWER,
        "explain": ANSWER | {"attention"},
        "decode": {"image"},
        "features": {"features"},
        "classify": {"classes", "scores"},
    }
    for one in card.signatures.values():
        for tensor in (*one["inputs"].values(), *one["outputs"].values()):
            assert tensor["shape"][0] == -1
    assert card.signatures["decode"]["outputs"]["image"]["dtype"] == "uint8"
    assert len(card.signatures["explain"]["outputs"]["attention"]["shape"]) == 3


def test_the_card_tells_what_it_is(tiny_run, tiny_export):
    card = read_card(tiny_export)
    assert (card.name, card.version) == (tiny_export.parent.name, int(tiny_export.name))
    assert card.classes == tiny_run.classes
    assert card.has_attention
    assert card.training["split_hash"] == tiny_run.card["split"]["hash"]
    assert card.training["recipe_hash"] == tiny_run.card["recipe_hash"]
    assert card.parity["cases"] == 8
    assert card.parity["largest_difference"] <= 1e-5
    assert set(card.parity["differences"]) == {
        "serving_default",
        "image_only",
        "tensors",
        "classify",
        "explain",
    }
    assert card.licence["data"]
    assert card.calibration is None


def test_nothing_names_this_machine_or_a_keras_class(tiny_run, tiny_export):
    contents = b"".join(file.read_bytes() for file in tiny_export.rglob("*") if file.is_file())
    for text in (
        str(tiny_export.parent),
        str(tiny_run.path.parent),
        skinzoo.__path__[0],
        "_tf_keras",
        "site-packages",
    ):
        assert text.encode() not in contents


def test_each_weight_is_there_once(tiny_run, tiny_export):
    saved = tf.train.list_variables(str(tiny_export / "variables" / "variables"))
    numbers = sum(int(np.prod(shape)) for name, shape in saved if "CHECKPOINTABLE" not in name)
    assert numbers <= tiny_run.model.count_params()


def test_every_warm_up_record_runs(tiny_export, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    file = tiny_export / names.EXTRA_FOLDER / names.WARMUP_FILE
    seen = set()
    for record in tf.data.TFRecordDataset(str(file)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        outputs = signatures[request.model_spec.signature_name](**inputs)
        (count,) = {value.shape[0] for value in (*inputs.values(), *outputs.values())}
        seen.add((request.model_spec.signature_name, count))
        assert request.model_spec.name == tiny_export.parent.name
    kinds = ("serving_default", "image_only", "tensors", "decode")
    assert seen == {(name, count) for name in kinds for count in (1, 8, 32)}


def test_an_example_needs_an_image_alone(golden, signatures):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[golden.cases[0].image]))
    example = tf.train.Example(features=tf.train.Features(feature={"image_bytes": feature}))
    answer = signatures["classify"](inputs=tf.constant([example.SerializeToString()]))
    np.testing.assert_allclose(answer["scores"][0], golden.image_only[0], atol=1e-5)
    assert [name.decode() for name in answer["classes"].numpy()[0]] == list(golden.classes)


def test_the_fused_vector_is_what_the_classifier_sees(golden, signatures):
    images = tf.constant([case.image for case in golden.cases])
    unknown = tf.fill((len(golden.cases),), "")
    ages = tf.fill((len(golden.cases),), float("nan"))
    found = signatures["features"](image_bytes=images, age=ages, sex=unknown, localization=unknown)
    assert found["features"].shape[0] == len(golden.cases)
    assert np.ptp(found["features"].numpy(), axis=0).max() > 0


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_an_export_that_answers_otherwise_is_found_out(tiny_export, golden, value):
    import dataclasses

    spoilt = dataclasses.replace(golden, probabilities=np.full_like(golden.probabilities, value))
    with pytest.raises(ModelError, match=r"must give the probabilities of its run to 1e-05\. Received: .*'"):
        prove(tiny_export, tiny_export / names.EXTRA_FOLDER / names.GOLDEN_FILE, spoilt)


def test_an_export_that_cannot_be_loaded_is_found_out(tiny_export, golden, tmp_path):
    broken = tmp_path / "1"
    shutil.copytree(tiny_export, broken)
    (broken / "saved_model.pb").write_bytes(b"none")
    with pytest.raises(ModelError, match="must load with plain TensorFlow"):
        prove(broken, broken / names.EXTRA_FOLDER / names.GOLDEN_FILE, golden)


@pytest.fixture
def calibrated_run(tiny_run, tmp_path):
    """A copy of the run with a calibration that changes much, and a threshold between its answers."""
    folder = tmp_path / "calibrated"
    shutil.copytree(tiny_run.path, folder)
    count = len(tiny_run.classes)
    calibration = Calibration(
        method="vector",
        classes=tiny_run.classes,
        scale=tuple(np.linspace(0.5, 3, count)),
        shift=tuple(np.linspace(1, -1, count)),
        cases=10,
        log_loss=(1.0, 1.0),
        expected_calibration_error=(0.1, 0.1),
    )
    (folder / "evaluation").mkdir(exist_ok=True)
    document = {"calibration": calibration.to_dict(), "conformal": {}, "abstention": {"threshold": 0.4}}
    (folder / "evaluation" / "calibration.json").write_text(json.dumps(document))
    return skinzoo.load_run(folder), calibration


def test_calibration_and_abstention_are_in_the_graph(calibrated_run, tmp_path):
    run, calibration = calibrated_run
    exported = run.export(tmp_path / "base", name="calibrated", warmup_batches=())
    assert exported.warmup_records == 0
    assert not (exported.path / names.EXTRA_FOLDER / names.WARMUP_FILE).exists()
    golden = read_golden(exported.path / names.EXTRA_FOLDER / names.GOLDEN_FILE)
    loaded = tf.saved_model.load(str(exported.path))
    found = loaded.signatures["image_only"](tf.constant([case.image for case in golden.cases]))
    expected = calibration.apply(
        Predictions(
            classes=run.classes,
            image_id=np.arange(8).astype(str),
            lesion_id=np.array([""] * 8),
            true=np.zeros(8, np.int64),
            probabilities=golden.image_only.astype(np.float64),
        )
    ).probabilities
    np.testing.assert_allclose(found["calibrated"], expected, atol=1e-5)
    assert found["abstain"].numpy().tolist() == (expected.max(axis=1) < 0.4).tolist()
    assert read_card(exported.path).calibration["abstention"] == {"threshold": 0.4}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "b"], "scale": [1, 1], "shift": [0, 0]}, "must be of the run's classes"),
        ({"scale": [1]}, "must be a calibration"),
    ],
)
def test_a_calibration_that_does_not_fit(calibrated_run, tmp_path, change, message):
    run, _ = calibrated_run
    file = run.path / "evaluation" / "calibration.json"
    document = json.loads(file.read_text())
    document["calibration"] |= change
    file.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=message):
        run.export(tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_run_that_is_not_finished(tiny_run, tmp_path):
    folder = tmp_path / "half"
    shutil.copytree(tiny_run.path, folder)
    (folder / "card.json").unlink()
    from skinzoo.runs import Run
    from skinzoo.training.lock import locked
    from skinzoo.training.runs import find_run

    with pytest.raises(ModelError, match="A run must be finished") as caught:
        export_run(Run(find_run(folder)), tmp_path / "base")
    assert caught.value.hint.startswith("Go on with: skinzoo train --resume")
    with locked(folder), pytest.raises(ModelError, match="which is running") as caught:
        export_run(Run(find_run(folder)), tmp_path / "base")
    assert caught.value.hint == "Wait until its training ends."


@pytest.mark.parametrize("batches", [(0,), (-1,), (2000,), tuple(range(1, 300))])
def test_batches_that_cannot_be_warmed_up(tiny_run, tmp_path, batches):
    with pytest.raises(UsageError, match="`warmup_batches` must be"):
        export_run(tiny_run, tmp_path / "base", warmup_batches=batches)
    assert not (tmp_path / "base").exists()


def test_a_format_whose_packages_are_missing():
    converter = Converter(
        "onnx", ("no_such_module_of_skinzoo",), lambda *_: None, lambda _: lambda x: x["age"]
    )
    with pytest.raises(MissingExtraError, match=r'--format onnx needs .*pip install "skinzoo\[onnx\]"'):
        converter.check("onnx")


FILES = [
    ("litert", "ai_edge_litert", "model.tflite"),
    ("litert-int8", "ai_edge_litert", "model.tflite"),
    ("onnx", "tf2onnx", "model.onnx"),
    ("openvino", "openvino", "model.xml"),
]


@pytest.mark.parametrize(("format", "module", "file"), FILES)
def test_a_file_of_another_runtime(tiny_run, tmp_path, monkeypatch, format, module, file):
    pytest.importorskip(module)
    monkeypatch.setenv("SKINZOO_HOME", str(tiny_run.path.parent.parent))
    exported = tiny_run.export(tmp_path, format=format, name="lesions")
    assert exported.path == tmp_path / "lesions" / "1"
    assert (exported.path / file).stat().st_size > 1000
    document = json.loads((exported.path / names.CARD_FILE).read_text())
    assert document["file"]["format"] == format
    assert document["file"]["bytes"] == exported.size
    assert document["parity"]["cases"] == 8
    if format == "litert-int8":
        assert document["parity"]["tolerance"] is None
        assert exported.parity.largest < 0.1
        assert exported.size < tiny_run.model.count_params() * 2
    else:
        assert exported.parity.largest <= 1e-4
    assert read_golden(exported.path / names.GOLDEN_FILE).classes == tiny_run.classes


def test_int8_needs_the_data_of_the_training(tiny_run, tmp_path):
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(DataError, match=r"must see cases of the run's training part.*with --data"):
        tiny_run.export(tmp_path / "base", format="litert-int8", data=str(tmp_path / "gone"))
    assert not (tmp_path / "base").exists()
