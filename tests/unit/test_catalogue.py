"""Parts as plain documents."""

import functools
import json
from types import SimpleNamespace

import pytest

from skinzoo import catalogue, published
from skinzoo.api import (
    AttentionSpec,
    BackboneSpec,
    Cut,
    FusionSpec,
    ParameterCounts,
    PublishedResult,
    RecipeSpec,
    VariantSpec,
    hookimpl,
)
from skinzoo.data.protocols import PROTOCOLS
from skinzoo.errors import PluginError
from skinzoo.plugins import plugin_from_object
from skinzoo.registry import Registry


def build(request):
    return None


BACKBONE = BackboneSpec(
    name="net",
    title="A net",
    build=functools.partial(build),
    input_size=64,
    preprocess="unit",
    cuts=(Cut(name="last", anchor="a", feature_map=(2, 2, 8)), Cut(name="early", anchor="b")),
    licence="MIT",
)
VARIANT = VariantSpec(
    name="net",
    title="A variant",
    backbone="net",
    attention="see",
    fusion="join",
    recipe="plain",
    published=(PublishedResult(source="A", dataset="D", protocol="paper", metrics={"accuracy": 0.5}),),
    parameters=ParameterCounts(trainable=2, non_trainable=3),
)
ATTENTION = AttentionSpec(name="see", title="x", build=build, spatial=False)
FUSION = FusionSpec(name="join", title="x", build=build)
RECIPE = RecipeSpec(
    name="plain", title="x", settings={"loss": {"name": "ce"}}, not_stated=("training.epochs",)
)


def registry_of(**hooks):
    functions = {}
    for hook, specs in hooks.items():
        functions[f"skinzoo_{hook}"] = hookimpl(_returning(f"skinzoo_{hook}", specs))
    plugin = plugin_from_object("fake", SimpleNamespace(**functions), distribution="fake-dist", version="1.2")
    assert plugin.problem == ""
    return Registry([plugin])


def _returning(name, specs):
    def hook():
        return specs

    hook.__name__ = name
    return hook


@pytest.fixture
def whole():
    return registry_of(
        backbones=[BACKBONE], variants=[VARIANT], attentions=[ATTENTION], fusions=[FUSION], recipes=[RECIPE]
    )


def test_a_variant_resolves_what_it_takes_from_its_parts(whole):
    document = catalogue.describe_part(whole.part("variant", "net"), whole)
    assert document["problems"] == []
    resolved = document["resolved"]
    assert (resolved["input_size"], resolved["preprocess"], resolved["licence"]) == (64, "unit", "MIT")
    assert resolved["cut"]["feature_map"] == [2, 2, 8]
    assert resolved["attention_map_spatial"] is False
    assert resolved["uses_metadata"] is True
    assert resolved["recipe"] == {
        "name": "plain",
        "settings": {"loss": {"name": "ce"}},
        "not_stated": ["training.epochs"],
    }
    assert document["parameters"] == {"trainable": 2, "non_trainable": 3, "total": 5}
    assert document["provider"] == {"plugin": "fake", "distribution": "fake-dist", "version": "1.2"}


def test_parts_that_no_plugin_provides_are_problems_not_failures():
    parts = registry_of(variants=[VARIANT])
    document = catalogue.describe_part(parts.part("variant", "net"), parts)
    assert document["resolved"] == {}
    assert [problem.split(" is named")[0] for problem in document["problems"]] == [
        "No backbone",
        "No attention",
        "No fusion",
        "No recipe",
    ]


def test_documents_are_strict_json(whole):
    for part in whole.parts():
        document = catalogue.describe_part(part, whole)
        assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_callables_become_their_place(whole):
    document = catalogue.describe_part(whole.part("backbone", "net"), whole)
    assert document["build"] == f"{__name__}:build"
    assert document["tail"] is None


def test_plain_values():
    assert catalogue.plain({"a": (1, float("nan"), float("inf"), None, True)}) == {
        "a": [1, None, None, None, True]
    }
    assert catalogue.plain(frozenset({"x"})) == ["x"]


@pytest.mark.parametrize(("name", "expected"), [("", "last"), ("last", "last"), ("early", "early")])
def test_find_cut(name, expected):
    assert catalogue.find_cut(BACKBONE, name).name == expected


def test_an_unknown_cut_names_the_known_ones():
    with pytest.raises(PluginError, match=r"must be one of last, early. Received: 'lst'"):
        catalogue.find_cut(BACKBONE, "lst")


def test_the_protocols_that_are_marked_are_those_that_the_splits_stamp():
    leaky = {name for name, text in published.LEAKY_PROTOCOLS.items() if text.startswith("leaky")}
    assert leaky == {name for name, protocol in PROTOCOLS.items() if protocol.leaky}
    assert set(published.LEAKY_PROTOCOLS) <= set(PROTOCOLS)
    assert published.protocol_warning("lesion") == ""


def test_a_published_result_carries_the_warning_of_its_protocol():
    document = catalogue.plain(VARIANT.published[0])
    assert document["protocol_warning"].startswith("leaky")
    assert document["metrics"] == {"accuracy": 0.5}


def test_plugins_and_conflicts(whole):
    (plugin,) = whole.plugins
    document = catalogue.describe_plugin(plugin)
    assert document["distribution"] == "fake-dist"
    assert {"kind": "fusion", "name": "join"} in document["parts"]
    twice = Registry([plugin, plugin])
    found = [catalogue.describe_conflict(conflict) for conflict in twice.conflicts]
    assert {(conflict["kind"], conflict["name"]) for conflict in found} == {
        (spec.kind, spec.name) for spec in plugin.specs
    }
    assert json.loads(json.dumps(found))[0]["providers"][0]["distribution"] == "fake-dist"
