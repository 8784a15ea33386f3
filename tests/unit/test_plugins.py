"""Plugins made of objects: hooks, checks and provenance. Installed ones are tested in tests/plugins."""

from types import SimpleNamespace

import pytest

from skinzoo import hookspecs
from skinzoo.api import AttentionSpec, BackboneSpec, LossSpec, hookimpl
from skinzoo.errors import PluginError
from skinzoo.plugins import HOOK_NAMES, SPEC_HOOKS, describe, hook_summary, plugin_from_object
from skinzoo.specs import SPEC_TYPES


def loss(name="a-loss", **more):
    return LossSpec(name=name, title="A loss", build=lambda request: None, **more)


def plugin_returning(value, hook="skinzoo_losses"):
    def implementation():
        return value

    implementation.__name__ = hook
    return plugin_from_object("fake", SimpleNamespace(**{hook: hookimpl(implementation)}), version="1.2")


def test_every_kind_of_part_has_a_hook_of_the_contract():
    assert set(SPEC_HOOKS.values()) == set(SPEC_TYPES)
    assert set(SPEC_HOOKS) <= set(HOOK_NAMES)


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_hook_says_what_it_returns(name):
    assert hook_summary(name).endswith(".")
    assert name.startswith(f"{hookspecs.PROJECT}_")


def test_a_sound_plugin_keeps_its_specs_and_provenance():
    plugin = plugin_returning([loss()])
    assert plugin.status == "loaded"
    assert [spec.name for spec in plugin.specs] == ["a-loss"]
    assert plugin.hooks == ("skinzoo_losses",)
    assert str(plugin.provider) == "fake 1.2 (fake)"


def test_a_tuple_and_a_generator_are_lists_too():
    assert plugin_returning((loss(),)).status == "loaded"
    assert plugin_returning(spec for spec in [loss("a"), loss("b")]).specs[1].name == "b"


def test_an_empty_list_is_allowed():
    assert plugin_returning([]).status == "loaded"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "must return a list of LossSpec. Received: None"),
        ("a-loss", "must return a list of LossSpec. Received: 'a-loss'"),
        (3, "must return a list of LossSpec. Received: 3"),
        (loss(), "must return a list of LossSpec. Received: LossSpec("),
        ([loss(), "x"], "must return LossSpec objects. Received: str"),
        ([LossSpec], "must return LossSpec objects. Received: type"),
        ([AttentionSpec(name="x", title="x", build=lambda: None)], "Received: AttentionSpec"),
        ([loss("Loss")], "names must be lower-case letters"),
        ([loss("")], "names must be lower-case letters"),
        ([loss(None)], "names must be lower-case letters"),
        ([loss(api_version=99)], "was written for contract version 99"),
    ],
)
def test_what_breaks_the_contract_is_a_failed_plugin(value, problem):
    plugin = plugin_returning(value)
    assert plugin.status == "failed"
    assert problem in plugin.problem
    assert plugin.specs == ()
    assert isinstance(plugin.error, PluginError)


def test_one_wrong_hook_takes_back_what_the_others_returned():
    class Both:
        @hookimpl
        def skinzoo_backbones(self):
            return ["no spec"]

        @hookimpl
        def skinzoo_losses(self):
            return [loss()]

    plugin = plugin_from_object("both", Both())
    assert (plugin.status, plugin.specs) == ("failed", ())


def test_a_misspelt_hook_names_the_right_one():
    plugin = plugin_returning([], hook="skinzoo_bakbones")
    assert (
        plugin.problem
        == "it implements the unknown hook 'skinzoo_bakbones'. Did you mean 'skinzoo_backbones'?"
    )


def test_a_hook_with_arguments_that_it_is_not_given_fails():
    class Wrong:
        @hookimpl
        def skinzoo_losses(self, device):
            return []

    plugin = plugin_from_object("wrong", Wrong())
    assert plugin.status == "failed"
    assert "device" in plugin.problem


def test_a_function_without_the_decorator_is_no_hook():
    plugin = plugin_from_object("plain", SimpleNamespace(skinzoo_losses=lambda: [loss()]))
    assert plugin.problem.startswith("it implements no hook; decorate")


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(2), KeyError("x")])
def test_whatever_a_hook_raises_stays_in_its_plugin(error):
    def skinzoo_losses():
        raise error

    plugin = plugin_from_object("fake", SimpleNamespace(skinzoo_losses=hookimpl(skinzoo_losses)))
    assert plugin.status == "failed"
    assert plugin.error is error
    assert plugin.problem == describe(error)


def test_callbacks_of_a_run_come_from_the_plugin(tmp_path):
    class WithCallbacks:
        @hookimpl
        def skinzoo_callbacks(self, run):
            return [("callback of", run)]

    assert plugin_from_object("c", WithCallbacks()).callbacks(tmp_path) == [("callback of", tmp_path)]
    assert plugin_returning([loss()]).callbacks(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError("no run"), SystemExit(1)])
def test_a_failing_callback_hook_is_an_error_that_says_how_to_disable_it(tmp_path, error):
    class WithCallbacks:
        @hookimpl
        def skinzoo_callbacks(self, run):
            raise error

    with pytest.raises(PluginError, match="failed in its hook `skinzoo_callbacks`") as caught:
        plugin_from_object("c", WithCallbacks()).callbacks(tmp_path)
    assert caught.value.hint == "Disable it with SKINZOO_DISABLED_PLUGINS=c"


def test_an_error_is_described_in_one_line():
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_specs_are_frozen():
    spec = BackboneSpec(
        name="x", title="x", build=lambda r: None, input_size=32, preprocess="unit", cuts=(), licence=""
    )
    with pytest.raises(AttributeError):
        spec.name = "y"
