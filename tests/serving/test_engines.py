"""An export gives the same answers in every engine."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skinzoo.errors import ModelError, UsageError
from skinzoo.export import names
from skinzoo.export.golden import read_golden
from skinzoo.home import cache_folder
from skinzoo.serving import engines
from skinzoo.serving.engines import AUTO, BF16, F32, OPENVINO, TENSORFLOW, TOLERANCES, EngineOptions
from skinzoo.serving.loading import load, questions
from skinzoo.serving.servable import LoadOptions

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def golden(tiny_export):
    return read_golden(tiny_export / names.EXTRA_FOLDER / names.GOLDEN_FILE)


@pytest.fixture(scope="module")
def everything(golden):
    """Every signature with inputs, made of the golden cases."""
    import tensorflow as tf

    (serving, given, _), (image_only, images, _) = questions(golden)
    pixels = tf.random.stateless_uniform((8, 224, 224, 3), (0, 1), 0, 256, tf.int32)
    metadata = {name: given[name] for name in names.METADATA}
    examples = np.array([
        tf.train.Example(features=tf.train.Features(feature={
            names.IMAGE_BYTES: tf.train.Feature(bytes_list=tf.train.BytesList(value=[case.image]))
        })).SerializeToString() for case in golden.cases
    ], object)  # fmt: skip
    return {
        serving: given, image_only: images, names.DECODE: images, names.EXPLAIN: given,
        names.FEATURES: given, names.CLASSIFY: {names.EXAMPLES: examples},
        names.TENSORS: {names.IMAGE: tf.cast(pixels, tf.uint8).numpy()[: len(golden.cases)]} | metadata,
    }  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("engines")


def answers(folder, everything, *, name, precision=F32, batched=True):
    options = LoadOptions(
        engine=EngineOptions(name=name, precision=precision),
        enable_batching=None if batched else False,
        warmup=False,
    )
    servable = load("m", 1, folder, options)
    try:
        found = {}
        for signature, given in everything.items():
            if signature == names.TENSORS:
                size = servable.signatures[signature].inputs[names.IMAGE].tensor_shape.dim[1].size
                given = given | {names.IMAGE: given[names.IMAGE][:, :size, :size]}
            found[signature] = servable.run(signature, given)
        return servable.engine, found
    finally:
        servable.close()


@pytest.mark.parametrize(
    ("precision", "batched"), [(F32, True), (F32, False), (BF16, True)], ids=["f32", "f32 alone", "bf16"]
)
def test_every_signature_answers_as_in_tensorflow(
    tiny_export, everything, home, monkeypatch, precision, batched
):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    _, expected = answers(tiny_export, everything, name=TENSORFLOW, batched=batched)
    engine, found = answers(tiny_export, everything, name=OPENVINO, precision=precision, batched=batched)
    assert str(engine) == f"openvino {precision}"
    assert set(found) == set(everything)
    for signature, outputs in expected.items():
        assert found[signature].keys() == outputs.keys()
        for name, value in outputs.items():
            if value.dtype.kind == "f":
                np.testing.assert_allclose(
                    found[signature][name], value, atol=TOLERANCES[OPENVINO, precision]
                )
            elif name not in (names.PREDICTED_CLASS, names.ABSTAIN) or precision == F32:
                assert found[signature][name].tolist() == value.tolist(), (signature, name)


def test_a_converted_network_is_kept_and_found_again(tiny_export, golden, home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    everything = dict([(one[0], one[1]) for one in questions(golden)][:1])
    answers(tiny_export, everything, name=OPENVINO)
    (kept,) = (cache_folder() / "openvino").iterdir()
    before = (kept / "model.xml").stat().st_mtime_ns
    answers(tiny_export, everything, name=OPENVINO)
    assert [one.name for one in (cache_folder() / "openvino").iterdir()] == [kept.name]
    assert (kept / "model.xml").stat().st_mtime_ns == before
    # A damaged one is thrown away and says so; the next load converts again.
    (kept / "model.xml").write_text("damaged")
    with pytest.raises(ModelError, match="OpenVINO must load"):
        answers(tiny_export, everything, name=OPENVINO)
    assert str(answers(tiny_export, everything, name=AUTO)[0]) == "openvino f32"


def test_auto_takes_tensorflow_where_the_answers_differ(tiny_export, home, monkeypatch, caplog):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    # No difference is small enough.
    monkeypatch.setitem(engines.TOLERANCES, (OPENVINO, F32), -1.0)
    options = LoadOptions(engine=EngineOptions(name=AUTO), warmup=False)
    with caplog.at_level(logging.WARNING, logger="skinzoo.serving"):
        servable = load("m", 1, tiny_export, options)
    servable.close()
    assert str(servable.engine) == TENSORFLOW
    lines = [record.getMessage() for record in caplog.records]
    assert sum("m version 1 runs in tensorflow" in line for line in lines) == 1, lines
    with pytest.raises(ModelError, match="golden cases within"):
        load("m", 1, tiny_export, LoadOptions(engine=EngineOptions(name=OPENVINO), warmup=False))


def test_auto_takes_float32_where_bfloat16_is_not_borne(tiny_export, home, monkeypatch, caplog):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    monkeypatch.setitem(engines.TOLERANCES, (OPENVINO, BF16), -1.0)
    with caplog.at_level(logging.WARNING, logger="skinzoo.serving"):
        options = LoadOptions(engine=EngineOptions(name=AUTO, precision=BF16), warmup=False)
        servable = load("m", 1, tiny_export, options)
    servable.close()
    assert str(servable.engine) == "openvino f32"
    assert "m version 1 runs in openvino f32: " in caplog.text
    with pytest.raises(ModelError) as raised:
        load(
            "m",
            1,
            tiny_export,
            LoadOptions(engine=EngineOptions(name=OPENVINO, precision=BF16), warmup=False),
        )
    assert "--mixed-precision" in raised.value.hint


def test_auto_takes_tensorflow_where_nothing_proves_the_answers(tiny_export, tmp_path):
    assert [one.name for one in engines.candidates(EngineOptions(name=AUTO), tiny_export)] == [
        OPENVINO,
        TENSORFLOW,
    ]
    without = tmp_path / "m" / "1"
    shutil.copytree(tiny_export, without)
    (without / names.EXTRA_FOLDER / names.GOLDEN_FILE).unlink()
    assert [one.name for one in engines.candidates(EngineOptions(name=AUTO), without)] == [TENSORFLOW]


def test_a_model_of_somebody_else(tmp_path, monkeypatch):
    """What takes numbers runs in OpenVINO, what takes strings in TensorFlow."""
    from saved_models import save_halves

    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path / "home"))
    folder = save_halves(tmp_path / "m" / "1")
    for batched in (True, False):
        options = LoadOptions(engine=EngineOptions(name=OPENVINO), enable_batching=batched)
        servable = load("m", 1, folder, options)
        found = servable.run("serving_default", {"x": np.float32([4, 6])})
        assert {name: value.tolist() for name, value in found.items()} == {"y": [4, 5], "twice": [8, 12]}
        assert servable.run("serving_default", {"x": np.zeros(0, np.float32)})["y"].shape == (0,)
        servable.close()


def test_batches_at_the_same_time_answer_as_one_alone(tiny_export, golden, home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    monkeypatch.setattr(engines, "cores", lambda: 4)
    servable = load("m", 1, tiny_export, LoadOptions(engine=EngineOptions(name=OPENVINO), warmup=False))
    signature, given, expected = questions(golden)[0]
    rows = [number % len(expected) for number in range(40)]

    def ask(numbers):
        inputs = {name: value[numbers] for name, value in given.items()}
        return servable.run(signature, inputs)[names.PROBABILITIES]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, [rows[: 1 + number % 3] for number in range(48)]))
    for number, one in enumerate(found):
        np.testing.assert_allclose(one, expected[rows[: 1 + number % 3]], atol=1e-4)
    # More than a batch: it is split over those that run at the same time.
    np.testing.assert_allclose(ask(rows), expected[rows], atol=1e-4)
    servable.close()


def test_batches_of_openvino_share_the_cores(monkeypatch):
    monkeypatch.setattr(engines, "cores", lambda: 8)

    def parameters(**engine):
        found = LoadOptions(engine=EngineOptions(**engine)).batching_of(is_export=True)
        return found.num_batch_threads, found.max_execution_batch_size, found.max_enqueued_batches

    assert parameters(name=OPENVINO) == (8, 8, 256)
    assert parameters(name=OPENVINO, threads=3) == (2, 8, 256)
    assert parameters(name=OPENVINO, threads=8) == parameters(name=TENSORFLOW) == (1, 32, 64)


def test_engines_that_there_are_not():
    with pytest.raises(UsageError, match="must be one of auto, tensorflow, openvino"):
        EngineOptions(name="onnx")
    with pytest.raises(UsageError, match="must be one of f32, bf16"):
        EngineOptions(name=OPENVINO, precision="int8")
    with pytest.raises(UsageError, match="must calculate in f32"):
        EngineOptions(precision=BF16)
