"""Options, real data and isolation shared by all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config, items):
    skips = []
    if not config.getoption("--slow"):
        skips.append(("slow", "slow: run with --slow"))
    if shared_folder() is None:
        skips.append(
            ("realdata", "real data absent: set SKINZOO_TEST_SHARED to a folder with data/ and weights/")
        )
    for item in items:
        for marker, reason in skips:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
    # Files of few tests are those that start processes: they come first, so that no worker is left waiting
    # for one at the end. xdist would take them last (--no-loadscope-reorder).
    in_file = Counter(item.path for item in items)
    items.sort(key=lambda item: in_file[item.path])


def shared_folder():
    """Return the folder with real data and weights, or None."""
    candidate = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared"))
    return candidate if (candidate / "data").is_dir() else None


@pytest.fixture(scope="session")
def shared():
    """Folder with data/ and weights/; only for tests marked realdata."""
    return shared_folder()


@pytest.fixture(scope="session")
def ham10000(shared):
    return shared / "data" / "ham10000"


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory):
    """Folder of a small built-in sample, drawn once a session: 150 images of 64x48 pixels; read only."""
    from skinzoo.data.sample import SampleOptions, draw_sample

    folder = tmp_path_factory.mktemp("sample")
    draw_sample(folder, SampleOptions(images=150, width=64))
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A run of seconds on the built-in sample, made once a session; read only."""
    import skinzoo
    from skinzoo.config import make_config
    from skinzoo.training.trainer import train

    settings = (
        "data.dataset=sample", "data.options.images=90", "data.protocol_options.folds=3",
        "training.batch_size=8", "training.epochs=1",
    )  # fmt: skip
    home = tmp_path_factory.mktemp("tiny-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        run = train(make_config("cnn", assignments=list(settings)), name="tiny").run
        return skinzoo.load_run(run)


@pytest.fixture(scope="session")
def tiny_export(tiny_run, tmp_path_factory):
    """The version folder of an export of `tiny_run`, `<base>/tiny/1`; read only."""
    from skinzoo.export.of_run import export_run

    return export_run(tiny_run, tmp_path_factory.mktemp("exports"), name="tiny", version=1).path


@pytest.fixture(scope="module")
def golden(tiny_export):
    """The golden cases of `tiny_export`."""
    from typed_servers import Golden

    return Golden(tiny_export)


@pytest.fixture(scope="module")
def watched(tiny_export):
    from typed_servers import WatchedServable

    return WatchedServable("tiny", 1, tiny_export)


@pytest.fixture
def servable(watched):
    """`tiny_export` loaded, behind `server`; what a test does to its pace ends with the test."""
    yield watched
    watched.before = lambda number: None


@pytest.fixture(scope="module")
def server(watched):
    """A server of the typed service for `servable`."""
    from typed_servers import Server, models_of

    server = Server(models_of(watched))
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory, monkeypatch):
    """Keep caches, runs and settings of the person who runs the tests out of them."""
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path_factory.mktemp("home")))
    for variable in ("SKINZOO_DATA", "SKINZOO_PLUGINS", "SKINZOO_DISABLED_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def cli(tmp_path):
    """Run the real command line in a child process: `cli("list", "--json", env={...})`."""

    def run(*arguments, env=None, columns=120, timeout=300):
        return subprocess.run(
            [Path(sys.executable).with_name("skinzoo"), *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": str(columns), **(env or {})},
            cwd=tmp_path,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that logs its console and its network."""
    from html_pages import start_browser

    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def determinism_ends_with_the_test():
    """Undo `--deterministic`, which holds for a whole process and would change how later tests compile."""
    yield
    if "tensorflow" in sys.modules:
        # TensorFlow can only be told to begin; its own tests end it by this function.
        from tensorflow.python.framework import config

        config.disable_op_determinism()
