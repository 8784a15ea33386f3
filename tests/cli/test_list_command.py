"""`skinzoo list`."""

import pytest

from skinzoo.registry import registry
from skinzoo.specs import KINDS


@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_every_kind_fits_and_names_every_part(invoke, kind, columns):
    result = invoke("list", "--kind", kind, columns=columns)
    assert result.code == 0
    assert max((len(line) for line in result.out.splitlines()), default=0) <= columns
    words = set(result.out.split())
    assert set(registry().names(kind)) <= words


@pytest.mark.parametrize(
    ("columns", "trainable", "total"), [(120, "47,599,672", "47,654,075"), (80, "47.6M", "47.7M")]
)
def test_a_variant_has_its_numbers_in_one_row(invoke, columns, trainable, total):
    result = invoke("list", "inceptionresnetv2", columns=columns)
    (row,) = [line for line in result.out.splitlines() if line.startswith("inceptionresnetv2")]
    cells = row.split()
    assert {"soft", "concat4096", "299", trainable, total, "0.8986", "skinzoo"} <= set(cells)


def test_the_protocol_of_a_published_number_is_marked_where_it_leaks(invoke):
    result = invoke("list", "inceptionresnetv2")
    assert "0.8986 paper [1]" in result.out
    assert "[1] protocol paper, leaky: images of one lesion stand on both sides" in result.out


def test_only_protocols_of_the_listed_variants_are_explained(invoke):
    assert "protocol" not in invoke("list", "convnexttiny").out.splitlines()[-1]
    assert "northeastern" not in invoke("list", "inceptionresnetv2").out


def test_a_pattern_selects(invoke):
    names = [variant["name"] for variant in invoke("list", "mobilenetv3*", "--json").json]
    assert names == ["mobilenetv3large", "mobilenetv3small"]
    assert [variant["name"] for variant in invoke("list", "RESNET50", "--json").json] == ["resnet50"]


def test_json_has_everything_that_the_table_has(invoke):
    (variant,) = invoke("list", "inceptionresnetv2", "--json").json
    assert variant["parameters"] == {"trainable": 47599672, "non_trainable": 54403, "total": 47654075}
    assert variant["resolved"]["input_size"] == 299
    assert variant["published"][0]["protocol"] == "paper"
    assert variant["published"][0]["protocol_warning"].startswith("leaky")
    assert variant["provider"]["distribution"] == "skinzoo"


@pytest.mark.parametrize("kind", KINDS)
def test_json_of_every_kind_is_strict(invoke, kind):
    assert [part["name"] for part in invoke("list", "--kind", kind, "--json").json] == registry().names(kind)


def test_a_pattern_that_matches_nothing_suggests_a_name(invoke):
    result = invoke("list", "resnet5O")
    assert (result.code, result.out) == (4, "")
    assert result.err == "Error: No variant is named 'resnet5O'. Did you mean 'resnet50'?\n"


def test_an_unknown_kind_is_a_usage_error(invoke):
    result = invoke("list", "--kind", "backbones")
    assert result.code == 2
    assert "Did you mean 'backbone'?" in result.err


def test_recipes_have_their_titles(invoke):
    assert "title" in invoke("list", "--kind", "recipe").out.splitlines()[0].split()
