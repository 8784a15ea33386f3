"""What is checked of a case before it is sent."""

import math

import pytest

from skinzoo.client.cases import Case, Result, check_properties, ready
from skinzoo.client.model import Model
from skinzoo.errors import DataError

MODEL = Model(
    name="m",
    version=3,
    classes=("a", "b"),
    sex=("female", "male", "unknown"),
    localization=("back", "lower extremity", "unknown"),
)
BARE = Model(name="m", version=0, classes=("a", "b"))


@pytest.fixture(scope="module")
def image(sample_folder):
    return next(iter(sorted((sample_folder / "images").iterdir())))


@pytest.mark.parametrize("age", [None, math.nan, "", " ", "NaN", "unknown", "none"])
def test_unknown_ages(image, age):
    assert math.isnan(ready(Case(image=image, age=age), MODEL).age)


@pytest.mark.parametrize(("age", "expected"), [(0, 0), (120, 120), ("35", 35), (" 35.5 ", 35.5)])
def test_ages(image, age, expected):
    assert ready(Case(image=image, age=age), MODEL).age == expected


@pytest.mark.parametrize("age", [-1, 121, "old", "1e9", math.inf, "inf"])
def test_wrong_ages(image, age):
    with pytest.raises(DataError, match=r"`age` must be within 0\.\.120 years or unknown. Received: "):
        ready(Case(image=image, age=age), MODEL)


@pytest.mark.parametrize(
    ("given", "term"), [("F", "female"), (" Male ", "male"), (None, "unknown"), ("", "unknown")]
)
def test_terms(image, given, term):
    assert ready(Case(image=image, sex=given), MODEL).sex == term


def test_terms_outside_the_vocabulary(image):
    case = Case(image=image, localization="lower extremety")
    with pytest.raises(DataError, match=r"`localization` must be one of back, .*Did you mean 'lower ext"):
        ready(case, MODEL)
    with pytest.raises(DataError):
        check_properties(case, MODEL)
    assert ready(case, MODEL, any_term=True).localization == "lower extremety"
    # Where the server does not tell its vocabulary, nothing can be checked.
    assert ready(case, BARE).localization == "lower extremety"


def test_images(image, tmp_path):
    contents = image.read_bytes()
    assert ready(Case(image=image), MODEL).image == ready(Case(image=contents), MODEL).image == contents
    assert ready(Case(image=str(image)), MODEL).source == str(image)
    for bad, words in (
        (tmp_path / "gone.jpg", "must be readable. Received: No such file"),
        (tmp_path, "must be readable. Received: Is a directory"),
        (b"", "Received: an empty file"),
        (b"text", "a file of another kind"),
        ("", "must have an image"),
    ):
        with pytest.raises(DataError, match=words):
            ready(Case(image=bad), MODEL)


def test_a_result_belongs_to_its_case():
    result = Result(model="m", version=3, classes=("a", "b"), probabilities=(0.25, 0.75))
    assert result.of(Case(id="x", image="x.jpg")).id == "x"
    assert result.of(Case(id="x", image="x.jpg")).image == "x.jpg"
    assert result.ok and not Result(error="no").ok
    assert (str(MODEL), str(BARE)) == ("m/3", "m")
