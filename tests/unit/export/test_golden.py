"""Golden cases: drawn, the same each time, and telling."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from skinzoo.errors import ModelError
from skinzoo.export.golden import Golden, GoldenCase, draw_cases, read_golden
from skinzoo.specs import Vocabularies
from skinzoo.vocabulary import OUT_OF_VOCABULARY


@pytest.fixture(scope="module")
def cases():
    return tuple(draw_cases(Vocabularies()))


def test_they_are_the_same_each_time(cases):
    assert tuple(draw_cases(Vocabularies())) == cases


def test_they_hold_what_can_go_wrong(cases):
    images = [Image.open(io.BytesIO(case.image)) for case in cases]
    assert {image.format for image in images} == {"JPEG", "PNG"}
    widths = {image.width for image in images}
    # Smaller and larger than what models see.
    assert min(widths) < 224 < max(widths)
    ages = {case.age for case in cases}
    assert None in ages
    assert len(ages) > 2
    vocabularies = Vocabularies()
    for name in ("sex", "localization"):
        vocabulary = getattr(vocabularies, name)
        indices = vocabulary.indices(getattr(case, name) for case in cases)
        assert vocabulary.unknown_index in indices
        assert len(set(indices)) > 2
        assert OUT_OF_VOCABULARY not in indices
    assert any(case.localization != case.localization.strip().lower() for case in cases)


def test_they_survive_a_file(cases, tmp_path):
    golden = Golden(cases, ("a", "b"), np.full((len(cases), 2), 0.5, np.float32), np.zeros((len(cases), 2)))
    file = tmp_path / "golden.json"
    file.write_text(json.dumps(golden.to_dict(), allow_nan=False))
    found = read_golden(file)
    assert found.cases == cases
    assert found.classes == golden.classes
    np.testing.assert_array_equal(found.probabilities, golden.probabilities)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cases": [{"image": "!"}]}'])
def test_a_damaged_file(tmp_path, text):
    file = tmp_path / "golden.json"
    file.write_text(text)
    with pytest.raises(ModelError, match=r"must have readable golden cases.*golden\.json"):
        read_golden(file)


def test_an_image_of_a_case_is_bytes_again():
    case = GoldenCase("one", b"\x00\xff", None, "", "")
    assert GoldenCase.from_dict(case.to_dict()) == case
