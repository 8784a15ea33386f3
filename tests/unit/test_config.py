import dataclasses
import json

import pytest

from skinzoo.config import RunConfig, from_dict, make_config, merge, parse_assignments
from skinzoo.errors import PluginError, UsageError
from skinzoo.registry import registry
from skinzoo.settings import SECTIONS
from skinzoo.specs import LossSpec, RecipeSpec, VariantSpec

RECIPES = registry().names(RecipeSpec.kind)
OURS = {
    "default",
    "paper",
    "paper_text",
    "datta",
    "northeastern_cnn",
    "northeastern_vgg16_frozen",
    "northeastern_resnet50_frozen",
    "focal_resnet50",
    "gessert",
    "yao",
    "frozen",
    "linear",
    "scratch",
}


def test_all_recipes_are_registered():
    assert set(RECIPES) >= OURS


@pytest.mark.parametrize("name", sorted(OURS))
def test_recipe_resolves_and_names_its_own_choices(name):
    spec = registry().get(RecipeSpec, name)
    config = make_config("cnn", recipe=name)
    assert config.recipe == name
    assert config.loss.name in registry().names(LossSpec.kind)
    stated = {f"{section}.{key}" for section, values in spec.settings.items() for key in values}
    assert set(spec.not_stated) <= stated
    for section, values in spec.settings.items():
        for key, value in values.items():
            received = config.as_dict()[section][key]
            assert received == (list(value) if isinstance(value, tuple) else value)


def test_a_variant_has_a_recipe_of_its_own():
    scratch = make_config("cnn")
    assert scratch.recipe == "scratch"
    assert (scratch.optimizer.learning_rate, scratch.training.epochs) == (3e-3, 60)
    assert (scratch.training.patience, scratch.training.head_epochs) == (30, 0)
    assert make_config("mobilenetv2").recipe == "default"


def test_the_papers_settings():
    paper = make_config("densenet201", recipe="paper")
    assert (paper.optimizer.name, paper.optimizer.learning_rate, paper.optimizer.epsilon) == (
        "adam",
        1e-3,
        0.1,
    )
    assert (paper.schedule.factor, paper.schedule.patience, paper.schedule.minimum) == (0.2, 5, 1e-7)
    assert (paper.training.epochs, paper.training.batch_size, paper.training.patience) == (500, 10, 35)
    assert (paper.training.stop_monitor, paper.training.select) == ("val_loss", "val_accuracy")
    assert (paper.data.protocol, paper.data.resize, paper.data.bgr) == ("paper", "crop", True)
    assert (paper.model.attention, paper.model.fusion, paper.model.pooling) == (
        "soft_as_coded",
        "concat4096",
        None,
    )
    assert paper.loss.class_weights == {
        "akiec": 4.37,
        "bcc": 2.78,
        "bkl": 1.3,
        "df": 12.44,
        "mel": 1.28,
        "nv": 0.21,
        "vasc": 10.0,
    }
    assert (paper.training.min_delta, paper.training.validation_batch_size) == (0.001, 32)
    text = make_config("densenet201", recipe="paper_text")
    assert (text.training.batch_size, text.training.epochs, text.training.patience) == (32, 250, 25)
    assert (text.model.attention, text.model.fusion) == ("soft", "concat4096")


# Typed from the sources, not from the recipes.
PUBLISHED = {
    "datta": {
        "data.protocol": "datta",
        "model.fusion": "image_only",
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "optimizer.epsilon": 0.1,
        "schedule.name": "constant",
        "loss.class_weights": {"akiec": 1, "bcc": 1, "bkl": 1, "df": 1, "mel": 5, "nv": 1, "vasc": 1},
        "training.epochs": 150,
        "training.batch_size": 16,
        "training.steps_per_epoch": 919,
        "training.stop_monitor": "val_loss",
        "training.patience": 35,
        "training.min_delta": 0.001,
        "training.select": "val_accuracy",
        "balance.per_class": 8000,
    },
    "northeastern_cnn": {
        "data.protocol": "northeastern",
        "model.image_size": 32,
        "balance.method": "adasyn",
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.001,
        "training.epochs": 25,
        "training.batch_size": 8,
        "training.freeze_backbone": False,
    },
    "northeastern_vgg16_frozen": {
        "model.image_size": 32,
        "balance.method": "adasyn",
        "training.epochs": 20,
        "training.freeze_backbone": True,
    },
    "northeastern_resnet50_frozen": {
        "model.image_size": 32,
        "balance.method": "adasyn",
        "training.freeze_backbone": True,
    },
    "gessert": {
        "data.preprocessing": ("shades_of_gray",),
        "model.fusion": "mlp",
        "model.pooling": "gap",
        "model.hidden": (1024,),
        "loss.name": "inverse_share_ce",
        "loss.options": {"power": 1.0},
        "optimizer.name": "adam",
        "schedule.name": "steps",
        "schedule.factor": 0.5,
        "schedule.every": 25,
        "training.epochs": 100,
        "augmentation.cutout_holes": 1,
        "augmentation.cutout": 16,
    },
    "yao": {
        "loss.name": "mwnl",
        "loss.options": {"gamma": 2, "threshold": 0.1, "alpha": 1.1, "start_epoch": 20, "end_epoch": 60},
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.001,
        "schedule.name": "steps",
        "schedule.factor": 0.1,
        "schedule.start": 30,
        "schedule.every": 10,
        "training.epochs": 70,
        "training.batch_size": 128,
    },
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_recipes_say_what_their_sources_say(name):
    config = make_config("cnn", recipe=name)
    spec = registry().get(RecipeSpec, name)
    received = {}
    for key in PUBLISHED[name]:
        section, _, setting = key.partition(".")
        received[key] = getattr(getattr(config, section), setting)
    assert received == PUBLISHED[name]
    assert not set(spec.not_stated) & set(PUBLISHED[name])


def test_recipes_name_what_is_ours_and_what_is_missing():
    cnn = registry().get(RecipeSpec, "northeastern_cnn")
    assert cnn.settings["model"]["hidden"]
    assert "model.hidden" in cnn.not_stated
    gessert = registry().get(RecipeSpec, "gessert")
    assert "training.batch_size" in gessert.not_stated
    assert "black borders" in " ".join(gessert.notes)
    assert "longer side to 600" in " ".join(gessert.notes)


@pytest.mark.parametrize(
    ("recipe", "variants", "notes"),
    [
        ("northeastern_cnn", ("cnn",), ("`cnn`",)),
        ("northeastern_vgg16_frozen", ("vgg16_imagenet",), ("`vgg16_imagenet`",)),
        ("northeastern_resnet50_frozen", ("resnet50",), ("`resnet50`",)),
        (
            "datta",
            ("resnet50", "nasnetmobile"),
            ("`--pooling gap`", "`--cut separable_conv_1_bn_normal_left5_12`"),
        ),
    ],
)
def test_recipes_say_for_which_networks_they_are(recipe, variants, notes):
    assert set(variants) <= set(registry().names(VariantSpec.kind))
    said = " ".join(registry().get(RecipeSpec, recipe).notes)
    assert [note for note in notes if note not in said] == []


def test_later_sources_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'recipe = "paper"\n[training]\nepochs = 7\nbatch_size = 4\nseed = 3\n[model]\npooling = "gap"\n'
    )
    config = make_config(
        "cnn",
        file=file,
        assignments=["training.epochs=8", "training.batch_size=5"],
        options={"training": {"epochs": 9}},
    )
    assert config.recipe == "paper"
    assert (config.training.epochs, config.training.batch_size, config.training.seed) == (9, 5, 3)
    assert (config.model.attention, config.model.pooling, config.model.variant) == (
        "soft_as_coded",
        "gap",
        "cnn",
    )
    assert make_config("cnn", file=file, recipe="default").recipe == "default"


@pytest.mark.parametrize(
    ("text", "section", "key", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("optimizer.learning_rate = 1", "optimizer", "learning_rate", 1.0),
        ("data.bgr=true", "data", "bgr", True),
        ("model.attention=soft", "model", "attention", "soft"),
        ('model.attention="soft"', "model", "attention", "soft"),
        ("model.hidden=[64, 32]", "model", "hidden", (64, 32)),
        ("training.patience=none", "training", "patience", None),
        ("model.attention=none", "model", "attention", "none"),
        ("model.weights=none", "model", "weights", "none"),
        ("loss.class_weights=[1, 2.5]", "loss", "class_weights", (1.0, 2.5)),
        ("loss.options.power=0.25", "loss", "options", {"power": 0.25}),
        ("data.path=/a b/ü", "data", "path", "/a b/ü"),
    ],
)
def test_assignment(text, section, key, value):
    config = make_config("cnn", assignments=[text])
    assert getattr(getattr(config, section), key) == value


def test_tables_of_options_are_merged_until_their_owner_changes():
    yao = make_config("cnn", recipe="yao", assignments=["loss.options.alpha=0.5"])
    assert yao.loss.options["alpha"] == 0.5
    assert yao.loss.options["threshold"] == 0.1
    other = make_config("cnn", recipe="yao", assignments=["loss.name=ce"])
    assert other.loss.options == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainig.epochs=3", "Did you mean 'training'?"),
        ("training.epoch=3", "Did you mean 'epochs'?"),
        ("model.epochs=3", "Did you mean 'training.epochs'?"),
        ("training.epochs=three", "`training.epochs` must be a whole number. Received: 'three'."),
        ("training.epochs=2.5", "must be a whole number"),
        ("training.epochs=true", "must be a whole number"),
        ("training.epochs=0", "must be at least 1 and at most 100000. Received: 0."),
        ("optimizer.learning_rate=0", "must be above 0.0"),
        ("optimizer.learning_rate=nan", "must be a number"),
        ("data.bgr=1", "must be true or false"),
        ("data.resize=squish", "Did you mean 'squash'?"),
        ("data.preprocessing=shades_of_gray", "must be a list, each a text"),
        ('data.preprocessing=["shades"]', "`data.preprocessing` must be one of"),
        ("model.hidden=[64, 1.5]", "must be a list, each a whole number or none"),
        ("loss.class_weights=[1, 'a']", "must be a text or a list, each a number"),
        ("loss.options=3", "must be a table"),
        ("training.epochs", "`--set` must be section.key=value"),
        ("epochs=3", "`--set` must be section.key=value"),
    ],
)
def test_wrong_settings_are_refused(text, message):
    with pytest.raises(UsageError) as caught:
        make_config("cnn", assignments=[text])
    assert message in str(caught.value)


def test_an_assignment_given_twice_is_refused():
    with pytest.raises(UsageError, match=r"twice: 'training\.epochs'"):
        parse_assignments(["training.epochs=1", "training.epochs=2"])


def test_files_that_are_no_settings(tmp_path):
    with pytest.raises(UsageError, match=r"--config.*No such file"):
        make_config("cnn", file=tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[training\nepochs = 3")
    with pytest.raises(UsageError, match="must be a TOML file"):
        make_config("cnn", file=broken)
    flat = tmp_path / "flat.toml"
    flat.write_text("epochs = 3")
    with pytest.raises(UsageError, match=r"Did you mean 'training.epochs'\?"):
        make_config("cnn", file=flat)
    flat.write_text("training = 3")
    with pytest.raises(UsageError, match="must be a section"):
        make_config("cnn", file=flat)


def test_unknown_names():
    with pytest.raises(PluginError, match="Did you mean 'paper'"):
        make_config("cnn", recipe="papr")
    with pytest.raises(PluginError, match="cnnn"):
        make_config("cnnn")


def test_the_hash_is_of_the_recipe_alone():
    base = make_config("cnn")
    same = [
        make_config("mobilenetv2", recipe=base.recipe),
        base.changed("data", path="/x", protocol="paper", seed=5, merge_duplicates=True),
        base.changed("training", seed=5),
        base.changed("hardware", threads=2, precision="bfloat16"),
    ]
    assert {config.recipe_hash for config in same} == {base.recipe_hash}
    other = [
        base.changed("training", epochs=3),
        base.changed("data", resize="crop"),
        base.changed("model", attention="none"),
        base.changed("loss", options={"power": 0.1}),
    ]
    assert len({config.recipe_hash for config in [base, *other]}) == 5


def test_a_configuration_survives_json():
    config = make_config("cnn", recipe="gessert", assignments=["loss.class_weights=[1,2,3,4,5,6,7]"])
    again = from_dict(json.loads(config.canonical_json()))
    assert again == config
    assert again.canonical_json() == config.canonical_json()


def test_configurations_are_frozen_and_every_setting_has_a_meaning():
    config = RunConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.recipe = "x"
    with pytest.raises(TypeError):
        config.loss.options["a"] = 1
    for section in SECTIONS.values():
        for field in dataclasses.fields(section):
            assert field.metadata["meaning"].endswith("."), field.name
    assert merge(config, {}) == config
