"""The contract kit: checks that every registered part must pass; for plugin authors' tests too.

Example of a plugin's test:

    from skinzoo.testing import check_plugin

    def test_contract():
        check_plugin("skinzoo-example")
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.registry import registry
from skinzoo.specs import (
    AttentionSpec,
    BackboneRequest,
    BackboneSpec,
    FusionRequest,
    FusionSpec,
    LossRequest,
    LossSpec,
    VariantSpec,
)
from skinzoo.vocabulary import LOCALIZATION, OUT_OF_VOCABULARY, SEX

if TYPE_CHECKING:
    import keras

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SMALL_SIZE = 96

_LOAD_AND_COMPARE = """
import sys
from pathlib import Path
import numpy as np
import skinzoo
folder = Path(sys.argv[1])
stored = np.load(folder / "cases.npz")
for path in sorted(folder.glob("*.keras")):
    model = skinzoo.load_model(path)
    size = model.input["image"].shape[1]
    inputs = {"image": stored[f"image_{size}"], **{k: stored[k] for k in ("age", "sex", "localization")}}
    expected = np.load(folder / f"{path.stem}.npy")
    got = np.asarray(model(inputs, training=False))
    if not np.allclose(got, expected, atol=1e-5):
        raise SystemExit(f"{path.stem}: probabilities differ by {np.abs(got - expected).max()}")
"""


class ContractError(AssertionError):
    """A part does not keep the contract; the message says which clause."""


def check_plugin(distribution: str) -> None:
    """Check that a distribution's plugins load, and every part that they provide.

    Args:
        distribution: Name of the installed distribution.

    Raises:
        ContractError: A plugin failed to load, provides nothing, or a part breaks the contract.
    """
    plugins = [p for p in registry().plugins if p.provider.distribution == distribution]
    _require(bool(plugins), f"the distribution '{distribution}' must have an entry point in group 'skinzoo'")
    for plugin in plugins:
        _require(
            plugin.status == "loaded", f"{plugin.provider} must load; it is {plugin.status}: {plugin.problem}"
        )
        for spec in plugin.specs:
            check = CHECKS.get(spec.kind)
            if check is not None:
                check(spec.name)


def check_variant(name: str, *, image_size: int | None = None, round_trip: bool = True) -> None:
    """Check a variant: counts, forward pass, gradients, unknown metadata, policies, round trip.

    Args:
        name: A registered variant.
        image_size: Input size of the passes that compute; None for a small one that it accepts.
        round_trip: Whether to reload a saved model in a fresh process.
    """
    from skinzoo.model import count_parameters, create_model, feature_map, resolve_variant

    resolved = resolve_variant(name)
    spec = registry().get(VariantSpec, name)
    with fresh_session():
        model = create_model(name)
        shape = tuple(feature_map(model).shape[1:])
        if resolved.cut.feature_map is not None:
            _require(
                shape == resolved.cut.feature_map,
                f"{name}: the feature map must be {resolved.cut.feature_map}, it is {shape}",
            )
        found = count_parameters(model)
        if spec.parameters is not None:
            _require(found == spec.parameters, f"{name}: must have {spec.parameters}, has {found}")
    size = image_size or min(resolved.image_size, max(resolved.backbone.min_size, SMALL_SIZE))
    with fresh_session():
        model = create_model(name, image_size=size)
        check_model(model)
        if round_trip:
            check_round_trips({name: model})
    for policy in POLICIES[1:]:
        with fresh_session(policy):
            check_probabilities(create_model(name, image_size=size))


def check_model(model: keras.Model) -> None:
    """Check a built model: probabilities, unknown metadata, attention map, gradients."""
    from skinzoo.model import attention_model, feature_map

    check_probabilities(model)
    cases = example_cases(model)
    amap = np.asarray(attention_model(model)(cases, training=False))
    expected = (2, *feature_map(model).shape[1:3])
    _require(
        amap.shape == expected, f"{model.name}: the attention map must be {expected}, it is {amap.shape}"
    )
    _require(bool(np.isfinite(amap).all()), f"{model.name}: the attention map must be finite")
    _require(bool((amap >= 0).all()), f"{model.name}: the attention map must not be negative")
    for weight, gradient in zip(model.trainable_weights, gradients(model), strict=True):
        _require(gradient is not None, f"{model.name}: {weight.path} must get a gradient")
        _require(
            bool(np.isfinite(gradient).all()), f"{model.name}: the gradient of {weight.path} must be finite"
        )


def check_probabilities(model: keras.Model) -> None:
    """Check that known, unknown and out-of-vocabulary metadata give float32 probabilities."""
    for cases in (example_cases(model), example_cases(model, unknown=True)):
        out = model(cases, training=False)
        values = np.asarray(out)
        _require(
            values.dtype == np.float32, f"{model.name}: probabilities must be float32, are {values.dtype}"
        )
        _require(bool(np.isfinite(values).all()), f"{model.name}: probabilities must be finite")
        _require(
            bool(np.allclose(values.sum(axis=1), 1, atol=1e-5)), f"{model.name}: probabilities must sum to 1"
        )


def check_round_trips(models: Mapping[str, keras.Model]) -> None:
    """Check that saved models give the same probabilities in one fresh process, without custom_objects.

    Args:
        models: Name to model; the names become file names.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays: dict[str, np.ndarray] = {}
        for key, model in models.items():
            cases = example_cases(model)
            arrays |= {f"image_{cases['image'].shape[1]}": cases["image"]}
            arrays |= {k: cases[k] for k in ("age", "sex", "localization")}
            model.save(folder / f"{key}.keras")
            np.save(folder / f"{key}.npy", np.asarray(model(cases, training=False)))
        np.savez(folder / "cases.npz", allow_pickle=False, **arrays)
        child = subprocess.run(
            [sys.executable, "-c", _LOAD_AND_COMPARE, str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        _require(child.returncode == 0, f"a saved model must load in a fresh process: {child.stderr[-2000:]}")


def check_backbone(name: str) -> None:
    """Check that every cut of a backbone is found, twice in one process, and has the declared feature map."""
    from skinzoo.model.cutting import cut_backbone

    spec = registry().get(BackboneSpec, name)
    shape = (spec.input_size, spec.input_size, 3)
    for _ in range(2):
        network = spec.build(BackboneRequest(input_shape=shape))
        for cut in spec.cuts:
            found = tuple(cut_backbone(network, cut, name="trunk").output.shape[1:])
            _require(
                cut.feature_map in (None, found),
                f"{name}: cut '{cut.name}' must give {cut.feature_map}, gives {found}",
            )


def check_attention(name: str) -> None:
    """Check an attention on small features: shapes, map, gradients, configuration, policies."""
    import keras

    spec = registry().get(AttentionSpec, name)
    for policy in POLICIES:
        with fresh_session(policy):
            layer = spec.build()
            features = np.random.default_rng(0).normal(size=(2, 5, 6, 16)).astype("float32")
            attended, amap = layer(features)
            _require(tuple(attended.shape) == features.shape, f"{name}: features must keep their shape")
            values = np.asarray(keras.ops.cast(amap, "float32"))
            _require(values.shape == features.shape[:3], f"{name}: the map must be {features.shape[:3]}")
            _require(bool(np.isfinite(values).all() and (values >= 0).all()), f"{name}: the map must be >= 0")
            if (head_maps := getattr(layer, "head_maps", None)) is not None:
                heads = np.asarray(head_maps(keras.ops.cast(features, layer.variable_dtype)), "float32")
                _require(
                    heads.ndim == 4 and heads.shape[:3] == values.shape and bool((heads >= 0).all()),
                    f"{name}: `head_maps` must return {values.shape} and the heads, >= 0",
                )
            _check_config(layer)
            image = keras.Input(features.shape[1:])
            trained = keras.Model(image, keras.layers.Flatten()(layer(image)[0]), name=name)
            for weight, gradient in zip(trained.trainable_weights, gradients(trained, features), strict=True):
                _require(
                    gradient is not None and bool(np.isfinite(gradient).all()),
                    f"{name}: {weight.path} must get a finite gradient",
                )


def check_fusion(name: str) -> None:
    """Check a fusion on small vectors: shape, unknown metadata, policies."""
    import keras

    from skinzoo.model.metadata import MetadataEncoder

    spec = registry().get(FusionSpec, name)
    for policy in POLICIES:
        with fresh_session(policy):
            layout = MetadataEncoder(SEX.terms, LOCALIZATION.terms).layout
            image, metadata = keras.Input((10,)), keras.Input((len(layout.missing),))
            request = FusionRequest(image=image, metadata=metadata, layout=layout)
            fused = spec.build(request if spec.uses_metadata else FusionRequest(image=image))
            _require(len(fused.shape) == 2, f"{name}: the fused tensor must be (batch, features)")
            model = keras.Model([image, metadata], fused, name=name)
            for training in (False, True):
                out = model([np.ones((4, 10)), np.tile(layout.missing, (4, 1))], training=training)
                values = np.asarray(keras.ops.cast(out, "float32"))
                _require(bool(np.isfinite(values).all()), f"{name}: the fused tensor must be finite")


def check_loss(name: str) -> None:
    """Check a loss: finite for hard cases, lower for better probabilities, configuration round trip."""
    import keras

    spec = registry().get(LossSpec, name)
    loss = spec.build(LossRequest(class_counts=(40, 10, 50), class_names=("a", "b", "c")))
    truth = np.eye(3, dtype="float32")
    good = np.full((3, 3), 0.05, "float32") + 0.85 * np.eye(3, dtype="float32")
    bad = np.roll(good, 1, axis=1)
    values = [float(loss(truth, p)) for p in (good, bad, truth, np.roll(truth, 1, axis=1))]
    _require(
        bool(np.isfinite(values).all()), f"{name}: must be finite for probabilities of 0 and 1: {values}"
    )
    _require(values[0] < values[1], f"{name}: better probabilities must cost less: {values[:2]}")
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    _require(
        abs(float(restored(truth, bad)) - values[1]) < 1e-6, f"{name}: get_config must restore the same loss"
    )


CHECKS: dict[str, Callable[[str], None]] = {
    BackboneSpec.kind: check_backbone,
    AttentionSpec.kind: check_attention,
    FusionSpec.kind: check_fusion,
    LossSpec.kind: check_loss,
    VariantSpec.kind: check_variant,
}


@contextmanager
def fresh_session(policy: str = "float32") -> Iterator[None]:
    """Run a block under a dtype policy and forget its Keras state afterwards."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
        keras.backend.clear_session()


def example_cases(model: keras.Model, *, unknown: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    """Return two cases of random pixels for a model.

    Args:
        model: A model of `create_model`.
        unknown: Whether age, sex and localization are unknown and out of vocabulary.
        seed: Seed of the pixels.
    """
    size = model.input["image"].shape[1]
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8),
        "age": np.array([np.nan, np.nan] if unknown else [45, 80], dtype="float32"),
        "sex": np.array([SEX.unknown_index, OUT_OF_VOCABULARY] if unknown else [1, 2], dtype="int32"),
        "localization": np.array(
            [LOCALIZATION.unknown_index, OUT_OF_VOCABULARY] if unknown else [3, 7], dtype="int32"
        ),
    }


def gradients(model: keras.Model, inputs: Any = None) -> Sequence[Any]:
    """Return the gradient of a loss on two cases for each trainable weight, on TensorFlow or JAX.

    Args:
        model: Any model of one output.
        inputs: Its inputs; None for `example_cases`.
    """
    import keras
    from keras import ops

    cases = example_cases(model) if inputs is None else inputs

    def cost(output: Any) -> Any:
        return -ops.mean(ops.log(ops.abs(ops.cast(output[:, 0], "float32")) + 1e-3))

    if keras.config.backend() == "jax":
        import jax

        def value(trainable: Any) -> Any:
            output, _ = model.stateless_call(trainable, model.non_trainable_variables, cases, training=True)
            return cost(output)

        return [np.asarray(g) for g in jax.grad(value)([v.value for v in model.trainable_variables])]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        result = cost(model(cases, training=True))
    found = tape.gradient(result, [weight.value for weight in model.trainable_weights])
    return [None if g is None else np.asarray(tf.convert_to_tensor(g)) for g in found]


def _check_config(layer: keras.layers.Layer) -> None:
    import json

    config = layer.get_config()
    restored = type(layer).from_config(json.loads(json.dumps(config)))
    _require(restored.get_config() == config, f"{layer.name}: get_config must survive JSON and from_config")


def _require(holds: bool, clause: str) -> None:
    if not holds:
        raise ContractError(clause)
