"""Lookups, wildcards, suggestions and duplicate names."""

from types import SimpleNamespace

import pytest

from skinzoo.api import AttentionSpec, LossSpec, VariantSpec, hookimpl
from skinzoo.errors import DuplicateNameError, UnknownNameError, UsageError
from skinzoo.plugins import Plugin, Provider, plugin_from_object
from skinzoo.registry import Registry


def plugin(name, *, losses=(), attentions=(), variants=(), broken=False):
    def skinzoo_losses():
        return [LossSpec(name=n, title=n, build=lambda request: None) for n in losses]

    def skinzoo_attentions():
        return [AttentionSpec(name=n, title=n, build=lambda: None) for n in attentions]

    def skinzoo_variants():
        if broken:
            raise RuntimeError("broken")
        return [VariantSpec(name=n, title=n, backbone=n, attention="a", fusion="f") for n in variants]

    hooks = [skinzoo_losses, skinzoo_attentions, skinzoo_variants]
    return plugin_from_object(name, SimpleNamespace(**{h.__name__: hookimpl(h) for h in hooks}), version="1")


@pytest.fixture
def parts():
    return Registry(
        [
            plugin("zoo", losses=["ce", "focal"], attentions=["soft"], variants=["net50", "net152", "soft"]),
            plugin("first", losses=["twice"]),
            plugin("second", losses=["twice"]),
        ]
    )


def test_get_returns_the_spec_of_the_asked_kind(parts):
    assert parts.get(AttentionSpec, "soft").kind == "attention"
    assert parts.get(VariantSpec, "soft").kind == "variant"


def test_names_may_be_typed_in_upper_case(parts):
    assert parts.get(LossSpec, "CE").name == "ce"
    assert parts.names("variant", "NET*") == ["net50", "net152"]


def test_a_part_knows_its_provider(parts):
    part = parts.part("loss", "focal")
    assert (part.name, part.kind, part.provider.plugin) == ("focal", "loss", "zoo")


def test_names_keep_the_order_of_registration(parts):
    assert parts.names("variant") == ["net50", "net152", "soft"]


@pytest.mark.parametrize(
    ("pattern", "expected"), [("net?0", ["net50"]), ("net*", 2), ("[ns]*", 3), ("x", [])]
)
def test_patterns(parts, pattern, expected):
    found = parts.names("variant", pattern)
    assert (found if isinstance(expected, list) else len(found)) == expected


def test_parts_of_all_kinds(parts):
    assert [part.name for part in parts.parts(pattern="s*")] == ["soft", "soft"]


def test_an_unknown_kind_is_a_usage_error(parts):
    with pytest.raises(UsageError, match="Did you mean 'variant'"):
        parts.parts("variants")


def test_an_unknown_name_suggests_the_nearest_of_its_kind(parts):
    with pytest.raises(UnknownNameError) as caught:
        parts.get(LossSpec, "focall")
    assert str(caught.value) == "No loss is named 'focall'. Did you mean 'focal'?"


def test_an_unknown_name_far_from_all_says_where_to_look(parts):
    with pytest.raises(UnknownNameError) as caught:
        parts.get(LossSpec, "zzzzz")
    assert caught.value.hint == "See: skinzoo list --kind loss"


def test_an_unknown_name_mentions_plugins_that_failed():
    parts = Registry([plugin("zoo", losses=["ce"]), plugin("bad-plugin", broken=True)])
    assert [failed.provider.plugin for failed in parts.failed] == ["bad-plugin"]
    with pytest.raises(UnknownNameError, match="Plugins that failed to load: bad-plugin"):
        parts.get(VariantSpec, "net50")


def test_an_unknown_name_mentions_plugins_that_are_disabled():
    off = Plugin(Provider("extra", "extra", "1"), "extra", "disabled", problem="named in a list")
    with pytest.raises(UnknownNameError, match=r"\(Disabled plugins: extra; see: skinzoo plugins\)"):
        Registry([plugin("zoo", losses=["ce"]), off]).get(LossSpec, "zzzzz")


def test_an_unknown_name_of_any_kind_says_how_to_list_others(parts):
    with pytest.raises(UnknownNameError) as caught:
        parts.find("zzzzz")
    assert caught.value.hint.startswith("See: skinzoo list, or skinzoo list --kind KIND (one of ")


def test_matching_needs_a_match(parts):
    assert [part.name for part in parts.matching("variant", "net*")] == ["net50", "net152"]
    with pytest.raises(UnknownNameError, match=r"No variant matches 'nett50\*'. Did you mean 'net50'\?"):
        parts.matching("variant", "nett50*")


def test_a_contested_name_is_an_error_that_names_both(parts):
    for ask in (parts.part, parts.matching):
        with pytest.raises(DuplicateNameError) as caught:
            ask("loss", "twice")
        assert caught.value.message == (
            "The loss name 'twice' is registered by first 1 (first) and by second 1 (second)."
        )
        assert caught.value.hint == "Disable one with SKINZOO_DISABLED_PLUGINS=second"


def test_a_pattern_that_only_contested_names_match_is_an_error(parts):
    with pytest.raises(DuplicateNameError):
        parts.matching("loss", "tw*")


def test_a_contested_name_hides_only_itself(parts):
    assert parts.names("loss") == ["ce", "focal"]
    assert [str(conflict.name) for conflict in parts.conflicts] == ["twice"]


def test_one_plugin_that_repeats_a_name_contests_it_with_itself():
    parts = Registry([plugin("zoo", losses=["ce", "ce"])])
    (conflict,) = parts.conflicts
    assert [provider.plugin for provider in conflict.providers] == ["zoo", "zoo"]


def test_find_returns_every_kind_with_the_name(parts):
    assert [part.kind for part in parts.find("soft")] == ["attention", "variant"]
    assert [part.kind for part in parts.find("soft", ["variant", "attention"])] == ["variant", "attention"]
    assert [part.kind for part in parts.find("soft", ["variant"])] == ["variant"]


def test_find_raises_for_unknown_and_contested_names(parts):
    with pytest.raises(DuplicateNameError):
        parts.find("twice")
    with pytest.raises(UnknownNameError, match=r"No part is named 'sofft'. Did you mean 'soft'"):
        parts.find("sofft")
    with pytest.raises(UnknownNameError, match="No loss is named 'soft'"):
        parts.find("soft", ["loss"])
