"""The example plugin, built and installed like anyone's into a clean environment beside a built skinzoo."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "plugins" / "skinzoo-example"

TRAIN_ONE_STEP = """
import json
import sys
import numpy as np
import keras
import skinzoo
import skinzoo_example.layers
from skinzoo.registry import registry
from skinzoo.specs import LossRequest, LossSpec
from skinzoo.testing import example_cases

keras.utils.set_random_seed(0)
model = skinzoo.create_model("example", classes=7)
loss = registry().get(LossSpec, "ce").build(LossRequest(class_counts=(1,) * 7))
model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
before = [np.array(weight) for weight in model.trainable_weights]
value = model.train_on_batch(example_cases(model), np.eye(7, dtype="float32")[[0, 3]])
moved = sum(not np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True))
json.dump(
    {
        "loss": float(value),
        "moved": moved,
        "weights": len(before),
        "trainable": model.count_params(),
        "skinzoo": skinzoo.__file__,
        "example": skinzoo_example.layers.__file__,
    },
    sys.stdout,
)
"""


def run(command, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=600, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(source, folder, *options):
    """Build a wheel of a distribution."""
    options = ["--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", *options]
    run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, source])
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def root_wheel(tmp_path_factory):
    # Isolated, since the stubs are made by the grpcio-tools that the build pins.
    return build_wheel(ROOT, tmp_path_factory.mktemp("root-wheel"))


@pytest.fixture(scope="module")
def example_wheel(tmp_path_factory):
    return build_wheel(EXAMPLE, tmp_path_factory.mktemp("example-wheel"), "--no-build-isolation")


class Environment:
    """A virtual environment that sees the heavy dependencies of this one, but not its skinzoo."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False)
        self.folder = folder
        scheme = {"base": str(folder), "platbase": str(folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv", scheme))
        # A path in a .pth file comes last and its own .pth files are not read, so that an editable
        # install of skinzoo in the environment of the tests stays out.
        (self.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.python = Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"

    def install(self, *wheels):
        options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed", "--disable-pip-version-check"]
        run([sys.executable, "-m", "pip", "--python", self.python, "install", *options, *wheels])

    def skinzoo(self, *arguments):
        return run([self.python.with_name("skinzoo"), *arguments], cwd=self.folder, env=self.variables)

    @property
    def variables(self):
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, "COLUMNS": "120"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory, root_wheel, example_wheel):
    made = Environment(tmp_path_factory.mktemp("clean") / "venv")
    made.install(root_wheel, example_wheel)
    return made


def source_files(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        str(path) for path in paths if not any(p.startswith(".") or p == "__pycache__" for p in path.parts)
    )


def test_the_example_is_what_new_plugin_writes(cli, tmp_path):
    done = cli("new-plugin", "skinzoo-example", "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "skinzoo-example"
    files = source_files(written)
    assert files == source_files(EXAMPLE)
    assert len(files) == 8
    for file in files:
        assert (written / file).read_bytes() == (EXAMPLE / file).read_bytes(), file


def test_the_root_wheel_ships_both_packages_the_templates_and_the_entry_points(root_wheel):
    with zipfile.ZipFile(root_wheel) as archive:
        names = set(archive.namelist())
        (information,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        entry_points = archive.read(f"{information}/entry_points.txt").decode()
        metadata = Parser().parsestr(archive.read(f"{information}/METADATA").decode())
    assert {"skinzoo/__init__.py", "skinzoo/cli/app.py", "skinzoo_zoo/__init__.py"} <= names
    templates = ROOT / "skinzoo" / "templates"
    shipped = {f"skinzoo/templates/{p.relative_to(templates).as_posix()}" for p in templates.rglob("*.jinja")}
    assert len(shipped) == 8
    assert shipped <= names
    assert {name.split("/")[0] for name in names} == {"skinzoo", "skinzoo_zoo", information}
    assert "[skinzoo]" in entry_points
    assert {"skinzoo/v1/lesion_classifier_pb2_grpc.py", "skinzoo/v1/lesion_classifier.proto"} <= names
    assert "cnn = skinzoo_zoo.backbones.cnn" in entry_points
    assert "skinzoo = skinzoo.cli:main" in entry_points
    assert metadata["Requires-Python"] == "<3.14,>=3.10"
    assert f"{information}/licenses/LICENSE" in names


def test_data_files_of_the_zoo_are_shipped(root_wheel):
    with zipfile.ZipFile(root_wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "plugins" / "skinzoo_zoo"
    data = {
        f"skinzoo_zoo/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.suffix in (".json", ".csv", ".toml")
    }
    assert data <= names


def test_its_variant_is_listed_with_its_provider(environment):
    (variant,) = json.loads(environment.skinzoo("list", "example", "--json"))
    assert variant["provider"] == {"plugin": "example", "distribution": "skinzoo-example", "version": "0.1.0"}
    assert variant["resolved"]["cut"]["name"] == "block1"
    assert variant["resolved"]["uses_metadata"]
    assert len(json.loads(environment.skinzoo("list", "--json"))) > 20


def test_its_plugin_is_shown_as_loaded(environment):
    found = json.loads(environment.skinzoo("plugins", "--json"))
    (plugin,) = [p for p in found["plugins"] if p["distribution"] == "skinzoo-example"]
    assert plugin["status"] == "loaded"
    assert plugin["hooks"] == ["skinzoo_backbones", "skinzoo_variants"]
    assert found["conflicts"] == []


def test_its_variant_is_shown_and_built(environment):
    shown = json.loads(environment.skinzoo("show", "example", "--build", "--json"))
    assert [part["kind"] for part in shown["parts"]] == ["variant"]
    built = shown["built"]
    assert built["feature_map"] == [8, 8, 64]
    assert built["total"] == built["trainable"] + built["non_trainable"]
    # Convolutions 3*3*3*16+16, 3*3*16*32, 3*3*32*64; normalisation 2*(32+64); scale 32+64.
    trunk = 448 + 4_608 + 18_432 + 192 + 96
    assert built["trainable"] > trunk


def test_its_own_tests_pass_the_contract_among_them(environment):
    options = ["-q", "-p", "no:cacheprovider", "-c", EXAMPLE / "pyproject.toml", EXAMPLE / "tests"]
    output = run(
        [environment.python, "-m", "pytest", *options], cwd=environment.folder, env=environment.variables
    )
    assert "3 passed" in output


def test_it_trains_for_one_step(environment):
    output = run(
        [environment.python, "-c", TRAIN_ONE_STEP], cwd=environment.folder, env=environment.variables
    )
    result = json.loads(output.strip().splitlines()[-1])
    assert result["loss"] > 0
    assert result["moved"] == result["weights"] > 10
    assert Path(result["skinzoo"]).is_relative_to(environment.site)
    assert Path(result["example"]).is_relative_to(environment.site)
