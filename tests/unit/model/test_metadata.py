"""The metadata encoder: 21 numbers, unknown values, age statistics."""

import numpy as np
import pytest

from skinzoo.errors import DataError
from skinzoo.model.metadata import MetadataEncoder
from skinzoo.vocabulary import LOCALIZATION, SEX


def encoder():
    layer = MetadataEncoder(SEX.terms, LOCALIZATION.terms)
    layer.build()
    return layer


def encode(layer, age, sex, localization):
    return np.asarray(
        layer(
            {
                "age": np.array(age, "float32"),
                "sex": SEX.indices(sex),
                "localization": LOCALIZATION.indices(localization),
            }
        )
    )


def test_twenty_one_numbers_in_the_order_age_sex_localization():
    out = encode(encoder(), [2.0], ["male"], ["abdomen"])
    expected = np.zeros((1, 21))
    expected[0, 0] = 2.0
    expected[0, 1 + 2] = 1
    expected[0, 1 + 4 + 1] = 1
    np.testing.assert_array_equal(out, expected)


def test_first_place_of_each_property_is_out_of_vocabulary():
    out = encode(encoder(), [0.0], ["robot"], ["elbow"])
    assert out[0, 1] == 1
    assert out[0, 5] == 1
    assert out.sum() == 2


@pytest.mark.parametrize("missing", ["", None, float("nan"), "unknown", " Unknown "])
def test_missing_strings_are_unknown(missing):
    layer = encoder()
    out = encode(layer, [np.nan], [missing], [missing])
    np.testing.assert_array_equal(out[0], layer.layout.missing)


def test_age_is_scaled_by_the_known_ages_of_the_training_part():
    layer = encoder()
    layer.adapt([40.0, 60.0, np.nan])
    out = encode(layer, [70.0, np.nan], ["male", "male"], ["back", "back"])
    assert out[0, 0] == pytest.approx(2.0)
    assert out[1, 0] == 0
    assert [float(np.asarray(w)) for w in layer.weights] == [50.0, 100.0, 2.0]
    assert not layer.trainable_weights


def test_one_distinct_age_does_not_divide_by_zero():
    layer = encoder()
    layer.adapt([50.0, 50.0])
    assert encode(layer, [50.0], ["male"], ["back"])[0, 0] == 0


def test_no_known_age_is_an_error():
    with pytest.raises(DataError, match="at least one known age"):
        encoder().adapt([np.nan])
