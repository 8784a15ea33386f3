"""The lookup from strings to indices."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinzoo.vocabulary import LOCALIZATION, OUT_OF_VOCABULARY, SEX, Vocabulary, normalise


def test_the_sizes_of_the_metadata_encoder():
    assert (SEX.size, LOCALIZATION.size) == (4, 16)
    assert 1 + SEX.size + LOCALIZATION.size == 21


def test_indices_follow_the_terms_behind_out_of_vocabulary():
    assert SEX.indices(["female", "male", "unknown"]).tolist() == [1, 2, 3]
    assert LOCALIZATION.indices(LOCALIZATION.terms).tolist() == list(range(1, 16))
    assert list(LOCALIZATION.terms) == sorted(LOCALIZATION.terms)


def test_indices_are_int32():
    assert SEX.indices(["male"]).dtype == np.int32
    assert SEX.indices([]).shape == (0,)


@pytest.mark.parametrize("missing", ["", "   ", None, math.nan, "unknown", "Unknown "])
def test_what_is_missing_means_unknown(missing):
    assert SEX.indices([missing]).tolist() == [SEX.unknown_index]


def test_case_and_outer_spaces_do_not_matter():
    assert (
        LOCALIZATION.indices([" Lower Extremity\n"]).tolist()
        == LOCALIZATION.indices(["lower extremity"]).tolist()
    )


@pytest.mark.parametrize("other", ["elbow", "lower  extremity", "männlich", "\udc80", "nan"])
def test_anything_else_is_out_of_vocabulary(other):
    assert LOCALIZATION.indices([other]).tolist() == [OUT_OF_VOCABULARY]


def test_only_ascii_letters_are_lowered():
    assert normalise("É") == "É".encode()


@given(st.lists(st.text()))
def test_any_text_has_an_index(values):
    indices = LOCALIZATION.indices(values)
    assert indices.shape == (len(values),)
    assert ((indices >= 0) & (indices < LOCALIZATION.size)).all()


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (("female", "male"), "must contain 'unknown'"),
        (("male", "male", "unknown"), "must not repeat"),
        (("Male", "unknown"), "must be lower case"),
        ((" male", "unknown"), "must be lower case"),
    ],
)
def test_wrong_terms_are_refused(terms, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary("sex", terms)
