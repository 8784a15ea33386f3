"""Several devices, arithmetic and threads, each in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

# One float32 convolution and a dense layer: no batch normalisation, dropout or augmentation.
PROGRAM = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    from skinzoo.config import make_config
    from skinzoo.training.listener import Listener
    from skinzoo.training.trainer import train

    class Steps(Listener):
        report_seconds = 0.0
        losses = []

        def stepped(self, report):
            self.losses.append(report.loss)

    assignments = json.loads(sys.argv[2])
    train(make_config("cnn", assignments=assignments), folder=Path(sys.argv[1]), listener=Steps())
    print(json.dumps(Steps.losses))
    """
)
SETTINGS = (
    "data.dataset=sample",
    "data.options.images=90",
    "data.protocol_options.folds=3",
    "augmentation.horizontal_flip=false",
    "augmentation.vertical_flip=false",
    "augmentation.rotation=0",
    "augmentation.shift=0",
    "augmentation.zoom=0",
    "model.fusion=concat4096",
    "training.batch_size=8",
    "training.epochs=3",
    # Several devices leave a batch out that is not full, so full ones are compared.
    "training.steps_per_epoch=3",
    # Each replica's share of the gradient is clipped before the shares are added.
    "optimizer.clip_norm=none",
)


def losses(tmp_path, home, *settings, plain=True):
    program = PROGRAM
    if plain:
        # The attention module's dropout draws other numbers on each replica.
        program = "import skinzoo.model.assembly as assembly\nassembly.MODULE_DROPOUT = 0.0\n" + program
    return run_program(program, tmp_path, home, [*SETTINGS, *settings])


def run_program(program, tmp_path, home, settings):
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), json.dumps(settings)],
        capture_output=True,
        text=True,
        env={**os.environ, "SKINZOO_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def one(tmp_path_factory, sample_home):
    return losses(tmp_path_factory.mktemp("one"), sample_home, "hardware.devices=one")


def test_two_devices_train_as_one_does(tmp_path, sample_home, one):
    two = losses(tmp_path, sample_home, "hardware.devices='CPU:0,CPU:1'")
    assert len(one) == len(two) == 9
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["frozen", "linear"])
def test_features_are_trained_on_one_of_two_devices(tmp_path, sample_home, recipe):
    program = PROGRAM.replace('make_config("cnn",', f'make_config("cnn", recipe="{recipe}",')
    settings = [text for text in SETTINGS if "fusion" not in text]
    more = ["training.views=1", "hardware.devices='CPU:0,CPU:1'"]
    found = run_program(program, tmp_path, sample_home, [*settings, *more])
    assert len(found) == 9
    (run,) = tmp_path.iterdir()
    assert json.loads((run / "card.json").read_text())["hardware"] == {
        "devices": ["CPU:0"],
        "precision": "float32",
        "replicas": 1,
    }


def test_bfloat16_trains_and_its_model_is_float32(tmp_path, sample_home, one):
    half = losses(tmp_path, sample_home, "hardware.precision=bfloat16", "hardware.threads=1")
    assert half != one
    assert half == pytest.approx(one, rel=0.15)
    from skinzoo.model import load_model

    (run,) = tmp_path.iterdir()
    model = load_model(run / "model.keras")
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert json.loads((run / "card.json").read_text())["hardware"]["precision"] == "bfloat16"
