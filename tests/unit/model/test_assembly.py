"""Choices, shapes and sub-models of built variants."""

import dataclasses
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import skinzoo
from skinzoo.errors import ModelError, PluginError, UnknownNameError, UsageError
from skinzoo.model import attention_model, build_model, describe_model, load_model, resolve_variant
from skinzoo.specs import Head, Vocabularies
from skinzoo.testing import example_cases, fresh_session
from skinzoo.vocabulary import Vocabulary


def test_python_api_builds_by_name():
    model = skinzoo.create_model("cnn", classes=3, attention="cbam", fusion="gated", weights="none")
    assert model.output_shape == (None, 3)
    assert set(model.input) == {"image", "age", "sex", "localization"}
    assert "cnn" in skinzoo.list_variants("c*")
    assert skinzoo.list_variants("nothing*") == []


def test_every_choice_is_recorded():
    resolved = resolve_variant("mobilenetv3large", cut="expanded_conv_14_depthwise_bn", bgr=True, classes=2)
    assert resolved.describe() == {
        "variant": "mobilenetv3large",
        "backbone": "mobilenetv3large",
        "cut": "expanded_conv_14_depthwise_bn",
        "attention": "soft",
        "fusion": "concat4096",
        "pooling": "flatten",
        "head": {"hidden": [], "dropout": 0.0},
        "classes": 2,
        "image_size": 224,
        "preprocess": "symmetric",
        "bgr": True,
    }


@pytest.mark.parametrize(
    ("choices", "error", "text"),
    [
        ({"attention": "sofft"}, UnknownNameError, "No attention is named 'sofft'. Did you mean 'soft'?"),
        ({"fusion": "concat409"}, UnknownNameError, "Did you mean 'concat4096'?"),
        ({"pooling": "max"}, UsageError, "`pooling` must be one of flatten, gap. Received: 'max'."),
        (
            {"cut": "conv2"},
            UsageError,
            "`cut` must be one of whole, conv3. Received: 'conv2'.",
        ),
        ({"classes": 1}, UsageError, "`classes` must be at least 2. Received: 1."),
        ({"image_size": 4}, UsageError, "`image_size` must be at least 8 for cnn. Received: 4."),
        ({"preprocess": "bgr"}, UsageError, "`preprocess` must be one of"),
    ],
)
def test_wrong_choices_are_explained(choices, error, text):
    with pytest.raises(error) as caught:
        resolve_variant("cnn", **choices)
    assert text in str(caught.value)


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'mobilenetv2'"):
        resolve_variant("mobilenet2")


def test_hidden_head_and_other_vocabularies():
    terms = Vocabularies(localization=Vocabulary("localization", ("arm", "unknown")))
    model = skinzoo.create_model("cnn", head=Head(hidden=(16, 8), dropout=0.1), vocabularies=terms)
    assert model.get_layer("logits").input.shape[-1] == 8
    assert model.get_layer("metadata").output.shape[-1] == 1 + 4 + 3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_computes_in_half_and_answers_in_float32(policy):
    with fresh_session(policy):
        model = skinzoo.create_model("cnn")
        assert model.get_layer("backbone").layers[1].compute_dtype == policy.removeprefix("mixed_")
        out = model(example_cases(model))
    assert str(np.asarray(out).dtype) == "float32"


def test_soft_attention_map_sums_to_its_heads():
    model = skinzoo.create_model("cnn")
    amap = np.asarray(attention_model(model)(example_cases(model)))
    np.testing.assert_allclose(amap.sum(axis=(1, 2)), 16, rtol=1e-5)


def test_attention_model_needs_a_skinzoo_model():
    import keras

    image = keras.Input((4,))
    with pytest.raises(ModelError, match="layer named 'attention'"):
        attention_model(keras.Model(image, keras.layers.Dense(1)(image)))


def test_description_counts_flops_as_written_out():
    import keras

    from skinzoo.model.description import count_flops

    image = keras.Input((8, 8, 3), name="image", dtype="float32")
    model = keras.Model({"image": image}, keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(image))
    assert count_flops(model) == 2 * 8 * 8 * 4 * 3 * 3 * 3
    described = describe_model(skinzoo.create_model("cnn"))
    assert described.feature_map == (8, 8, 128)
    assert described.attention_map == (8, 8)
    assert described.total == described.trainable + described.non_trainable
    assert described.flops > 2 * 32 * 32 * 32 * 32 * 9


def test_load_model_explains_bad_files(tmp_path):
    with pytest.raises(ModelError, match="not a file"):
        load_model(tmp_path / "absent.keras")
    (tmp_path / "bad.keras").write_bytes(b"no zip")
    with pytest.raises(ModelError, match=r"complete \.keras file"):
        load_model(tmp_path / "bad.keras")


def test_load_model_explains_a_missing_plugin(tmp_path):
    import keras

    @keras.saving.register_keras_serializable(package="elsewhere")
    class Custom(keras.layers.Layer):
        def call(self, x):
            return x

    image = keras.Input((4,))
    keras.Model(image, Custom()(image)).save(tmp_path / "custom.keras")
    code = f"import skinzoo\nskinzoo.load_model({str(tmp_path / 'custom.keras')!r})"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Install the plugin that it was made with" in child.stderr


def run_on_jax(code, folder):
    pytest.importorskip("jax", reason="jax is not installed: the JAX backend cannot be tried")
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]


def test_builds_trains_explains_and_saves_on_jax(tmp_path):
    run_on_jax(
        """
        import numpy as np, keras
        assert keras.config.backend() == "jax"
        import skinzoo
        from skinzoo.model import attention_model, metadata_encoder
        from skinzoo.testing import example_cases
        model = skinzoo.create_model("cnn", attention="soft_as_coded")
        metadata_encoder(model).adapt([40.0, 60.0])
        cases = example_cases(model)
        model.compile("adam", "categorical_crossentropy")
        labels = np.eye(7, dtype="float32")[:2]
        first = model.evaluate(cases, labels, verbose=0)
        for _ in range(20):
            model.train_on_batch(cases, labels)
        assert model.evaluate(cases, labels, verbose=0) < first
        assert attention_model(model).predict(cases, verbose=0).shape == (2, 8, 8)
        model.save("m.keras")
        expected = model.predict(cases, verbose=0)
        again = skinzoo.load_model("m.keras")
        np.testing.assert_allclose(again.predict(cases, verbose=0), expected, atol=1e-5)
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_every_part_keeps_the_contract_on_jax(tmp_path):
    run_on_jax(
        """
        import skinzoo
        from skinzoo.registry import registry
        from skinzoo.testing import CHECKS, check_model
        for kind in ("attention", "fusion", "loss"):
            for name in registry().names(kind):
                CHECKS[kind](name)
        check_model(skinzoo.create_model("cnn", image_size=16))
        check_model(skinzoo.create_model("mobilenetv3small", image_size=32))
        """,
        tmp_path,
    )


@pytest.mark.parametrize("kind", ["backbone", "attention", "fusion"])
def test_a_part_that_cannot_be_built_is_named(kind, monkeypatch):
    def broken(*args):
        raise RuntimeError("no such op")

    resolved = resolve_variant("cnn")
    part = dataclasses.replace(getattr(resolved, kind), build=broken)
    with pytest.raises(PluginError, match=f"The {kind} '.*' could not be built: RuntimeError: no such op"):
        build_model(dataclasses.replace(resolved, **{kind: part}))
