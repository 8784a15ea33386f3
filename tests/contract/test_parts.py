"""The contract kit over everything registered."""

import pytest

from skinzoo.model import create_model
from skinzoo.registry import registry
from skinzoo.testing import (
    ContractError,
    check_attention,
    check_backbone,
    check_fusion,
    check_loss,
    check_round_trips,
    check_variant,
    fresh_session,
)

# One of each family, the small ones; every other one is slow. ConvNeXt and ResNet34 have their turns below.
QUICK = {
    "cnn",
    "densenet201",
    "efficientnetb0",
    "efficientnetv2b0",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "nasnetmobile",
    "resnet50",
}
# Variants train a step besides, so fewer of them are quick.
QUICK_VARIANTS = {"cnn", "resnet34"}
ROUND_TRIPS = ("cnn", "convnexttiny", "resnet34")


def named(kind, quick):
    return [
        pytest.param(name, marks=[] if name in quick else pytest.mark.slow) for name in registry().names(kind)
    ]


@pytest.mark.parametrize("name", named("backbone", QUICK))
def test_backbone(name):
    with fresh_session():
        check_backbone(name)


@pytest.mark.parametrize("name", named("variant", QUICK_VARIANTS))
def test_variant(name):
    check_variant(name, round_trip=False)


@pytest.mark.parametrize("name", registry().names("attention"))
def test_attention(name):
    check_attention(name)


@pytest.mark.parametrize("name", registry().names("fusion"))
def test_fusion(name):
    check_fusion(name)


@pytest.mark.parametrize("name", registry().names("loss"))
def test_loss(name):
    check_loss(name)


def test_saved_models_load_in_a_fresh_process():
    with fresh_session():
        models = {name: create_model(name, image_size=64) for name in ROUND_TRIPS if name != "cnn"}
        models["cnn"] = create_model("cnn")
        for attention in registry().names("attention"):
            models[f"cnn-{attention}"] = create_model("cnn", attention=attention)
        for fusion in registry().names("fusion"):
            models[f"cnn-{fusion}"] = create_model("cnn", fusion=fusion)
        check_round_trips(models)


@pytest.mark.slow
def test_every_saved_variant_loads_in_a_fresh_process():
    for name in registry().names("variant"):
        if name not in ROUND_TRIPS:
            with fresh_session():
                check_round_trips({name: create_model(name)})


def test_every_variant_names_registered_parts():
    for part in registry().parts("variant"):
        assert part.spec.backbone in registry().names("backbone")
        assert part.spec.attention in registry().names("attention")
        assert part.spec.fusion in registry().names("fusion")
        assert part.spec.parameters is not None, f"run python -m skinzoo_zoo.counts for {part.name}"


def test_kit_refuses_wrong_counts(monkeypatch):
    import dataclasses

    from skinzoo import testing
    from skinzoo.plugins import plugin_from_object
    from skinzoo.registry import Registry
    from skinzoo.specs import ParameterCounts

    original = registry()
    spec = original.part("variant", "cnn").spec
    wrong = dataclasses.replace(
        spec, name="miscounted", parameters=ParameterCounts(trainable=1, non_trainable=1)
    )

    class Plugin:
        from skinzoo.api import hookimpl

        @hookimpl
        def skinzoo_variants(self):
            return [wrong]

    changed = Registry([*original.plugins, plugin_from_object("wrong", Plugin())])
    monkeypatch.setattr(testing, "registry", lambda: changed)
    monkeypatch.setattr("skinzoo.variants.registry", lambda: changed)
    with pytest.raises(ContractError, match="miscounted: must have"):
        check_variant("miscounted", round_trip=False)
