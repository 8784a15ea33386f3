import keras
import numpy as np
import pytest

import skinzoo
from skinzoo.errors import ModelError
from skinzoo.model import attention_model, ensemble_model, feature_map, load_model, metadata_encoder
from skinzoo.specs import Vocabularies
from skinzoo.vocabulary import Vocabulary

SIZE = 32


def cases(number=3, size=SIZE):
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (number, size, size, 3), dtype=np.uint8),
        "age": np.array([30, np.nan, 70], np.float32)[:number],
        "sex": np.array([1, 2, 0], np.int32)[:number],
        "localization": np.array([1, 5, 0], np.int32)[:number],
    }


def model(**choices):
    return skinzoo.create_model("cnn", classes=3, image_size=SIZE, **choices)


@pytest.fixture(scope="module")
def members():
    keras.utils.set_random_seed(0)
    return [model(), model(attention="se", fusion="image_only"), model()]


def test_probabilities_and_maps_are_means(members, tmp_path):
    weights = [0.5, 0.2, 0.3]
    built = ensemble_model(members, weights)
    expected = sum(w * m.predict_on_batch(cases()) for w, m in zip(weights, members, strict=True))
    np.testing.assert_allclose(built.predict_on_batch(cases()), expected, atol=1e-6)
    maps = [np.asarray(attention_model(m)(cases(), training=False)) for m in members]
    expected_map = sum(w * one for w, one in zip(weights, maps, strict=True))
    built.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(cases()), expected, atol=1e-6)
    found = np.asarray(attention_model(loaded)(cases(), training=False))
    np.testing.assert_allclose(found, expected_map, atol=1e-6)
    assert {name: (t.shape, t.dtype) for name, t in loaded.input.items()} == {
        name: (t.shape, t.dtype) for name, t in members[0].input.items()
    }


def test_an_ensemble_of_ensembles(members):
    inner = ensemble_model(members[:2], [1, 1])
    built = ensemble_model([inner, members[2]], [2, 1])
    expected = np.mean([m.predict_on_batch(cases()) for m in members], axis=0)
    np.testing.assert_allclose(built.predict_on_batch(cases()), expected, atol=1e-6)


def test_the_vocabularies_are_those_of_the_members(members):
    # The second member takes no metadata and so has no encoder.
    built = ensemble_model([members[1], members[0]], [1, 1])
    assert metadata_encoder(built).vocabularies == metadata_encoder(members[0]).vocabularies
    other = model(vocabularies=Vocabularies(sex=Vocabulary("sex", ("male", "female", "other", "unknown"))))
    with pytest.raises(ModelError, match="same vocabularies"):
        ensemble_model([members[0], other], [1, 1])


def test_there_is_no_feature_map_and_where_sizes_differ_no_attention_map(members):
    with pytest.raises(ModelError, match=r"one feature map.*an ensemble"):
        feature_map(ensemble_model(members, [1, 1, 1]))
    image = members[0].input
    bare = keras.Model(image, members[0].output)
    strange = ensemble_model([members[0], keras.Model(image, bare(image))], [1, 1])
    with pytest.raises(ModelError, match="must have a layer named 'attention'"):
        attention_model(strange)
    with pytest.raises(ModelError, match="must have a layer named 'attention'"):
        feature_map(strange)


def test_members_that_do_not_fit(members):
    with pytest.raises(ModelError, match=r"images of one size\. Received: 32 and 48"):
        ensemble_model([members[0], skinzoo.create_model("cnn", classes=3, image_size=48)], [1, 1])
    with pytest.raises(ModelError, match=r"same outputs\. Received: 3 and 4"):
        ensemble_model([members[0], skinzoo.create_model("cnn", classes=4, image_size=SIZE)], [1, 1])
    with pytest.raises(ValueError, match="numbers above 0"):
        ensemble_model(members[:2], [1, 0])
