"""`skinzoo show`."""

import pytest

from skinzoo.registry import registry
from skinzoo.specs import KINDS, VariantSpec


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_can_be_shown(invoke, kind):
    for part in registry().parts(kind):
        result = invoke("show", part.name, "--kind", kind, columns=80)
        assert result.code == 0, result.err
        assert result.out.startswith(f"{part.name} ({kind})")
        assert part.provider.plugin in result.out
        assert max(len(line) for line in result.out.splitlines()) <= 80, part.name
        (document,) = invoke("show", part.name, "--kind", kind, "--json").json["parts"]
        assert (document["kind"], document["name"]) == (kind, part.name)


def test_a_variant_shows_what_it_is_made_of(invoke):
    result = invoke("show", "inceptionresnetv2", "--kind", "variant")
    for fact in (
        "block8_8_ac",
        "8 x 8 x 192",
        "299 x 299 pixels",
        "symmetric",
        "soft (spatial map)",
        "concat4096",
        "47,599,672 trainable",
        "leaky: images of one lesion",
        "0.8986",
    ):
        assert fact in result.out


def test_a_name_of_several_kinds_shows_each_the_variant_first(invoke):
    assert [part["kind"] for part in invoke("show", "resnet50", "--json").json["parts"]] == [
        "variant",
        "backbone",
    ]
    (backbone,) = invoke("show", "resnet50", "--kind", "backbone", "--json").json["parts"]
    assert backbone["published_parameters"] == 25_583_592


def test_a_backbone_shows_its_cuts_the_default_one_marked(invoke):
    lines = invoke("show", "mobilenetv3large", "--kind", "backbone").out.splitlines()
    cuts = registry().part("backbone", "mobilenetv3large").spec.cuts
    assert len(cuts) == 3
    rows = {cut.name: i for i, line in enumerate(lines) for cut in cuts if line.split()[:1] == [cut.name]}
    assert len(rows) == 3
    assert [line.split()[:1] for line in lines].count(["(default)"]) == 1
    assert lines[rows[cuts[0].name] + 1].startswith("(default)")


def test_an_unknown_name_suggests_one_of_any_kind(invoke):
    result = invoke("show", "soft_as_code")
    assert (result.code, result.out) == (4, "")
    assert result.err == "Error: No part is named 'soft_as_code'. Did you mean 'soft_as_coded'?\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--cut", "x"], "--cut"),
        (["--attention", "se", "--fusion", "mlp"], "--attention, --fusion"),
        (["--classes", "3"], "--classes"),
        (["--weights", "none"], "--weights"),
        (["--pooling", "gap"], "--pooling"),
    ],
)
def test_options_of_build_need_build(invoke, arguments, named):
    result = invoke("show", "cnn", *arguments)
    assert result.code == 2
    assert result.err == (
        f"Error: {named} must come with --build: they say what is built. Add --build to the command.\n"
    )


def test_only_variants_are_built(invoke):
    result = invoke("show", "cnn", "--kind", "backbone", "--build")
    assert result.code == 2
    assert "--build must be used on a variant" in result.err
    assert invoke("show", "soft", "--build").code == 4


def test_build_adds_the_numbers_of_the_registered_variant(invoke):
    shown = invoke("show", "cnn", "--build", "--json").json
    counts = registry().get(VariantSpec, "cnn").parameters
    built = shown["built"]
    assert (built["trainable"], built["non_trainable"]) == (counts.trainable, counts.non_trainable)
    assert built["total"] == counts.total
    assert built["feature_map"] == [8, 8, 128]
    assert built["flops"] > 1_000_000
    assert built["layers"] > 10
    assert built["attention_map_spatial"] is True
    assert built["weights"]["origin"] == "none"


def test_build_builds_that_very_variant(invoke):
    arguments = ["--attention", "se", "--fusion", "image_only", "--pooling", "flatten", "--classes", "3"]
    built = invoke("show", "cnn", "--build", *arguments, "--json").json["built"]
    assert built["variant"] == {
        "variant": "cnn",
        "backbone": "cnn",
        "cut": "conv3",
        "attention": "se",
        "fusion": "image_only",
        "pooling": "flatten",
        "head": {"hidden": [], "dropout": 0.0},
        "classes": 3,
        "image_size": 32,
        "preprocess": "unit",
        "bgr": False,
    }
    assert built["attention_map_spatial"] is False
    # Convolutions 3-32-32-64-128; squeeze 128-8-128; 4 x 4 x 256 features into 3 classes.
    trunk = (27 * 32 + 32) + (288 * 32 + 32) + (288 * 64 + 64) + (576 * 128 + 128)
    gates = (128 * 8 + 8) + (8 * 128 + 128)
    assert built["trainable"] == trunk + gates + (4_096 * 3 + 3)


def test_build_in_words(invoke):
    out = invoke("show", "cnn", "--build", "--classes", "3").out
    assert "built --classes 3" in out
    assert "FLOPs of one image" in out


def test_what_was_built_stands_first_and_the_defaults_are_called_so(invoke):
    options = ["--attention", "se", "--fusion", "image_only", "--pooling", "flatten", "--classes", "3"]
    lines = invoke("show", "cnn", "--build", *options).out.splitlines()
    assert lines[:2] == ["cnn (variant)", "built " + " ".join(options)]
    built, registered = lines[: lines.index("")], lines[lines.index("") + 1 :]
    rows = [line.split() for line in built]
    for row in (["cut", "conv3"], ["attention", "se"], ["fusion", "image_only"], ["pooling", "flatten"]):
        assert row in rows
    assert ["classes", "3"] in rows
    assert registered[0] == "as registered, without options"
    assert any(line.startswith("parameters of the defaults") for line in registered)
    assert "of the defaults" not in invoke("show", "cnn").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--attention", "sofft"], 4, "No attention is named 'sofft'. Did you mean 'soft'?"),
        (["--fusion", "concat"], 4, "No fusion is named 'concat'."),
        (
            ["--cut", "conv33"],
            2,
            "`cut` must be one of whole, conv3. Received: 'conv33'. Did you mean 'conv3'?",
        ),
        (["--pooling", "max"], 2, "`pooling` must be one of flatten, gap. Received: 'max'."),
        (["--classes", "1"], 2, "`classes` must be at least 2. Received: 1."),
        (["--weights", "nowhere.weights.h5"], 5, "Received: 'nowhere.weights.h5', which is not a file."),
        (["--weights", "imagenet"], 5, "there are no ImageNet weights for it."),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(invoke, arguments, code, message):
    result = invoke("show", "cnn", "--build", *arguments)
    assert result.code == code
    assert result.out == ""
    assert message in result.err
    assert len(result.err.splitlines()) == 1
