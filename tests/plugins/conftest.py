"""Distributions with a plugin, written to a folder that a child process has on its path."""

import os

import pytest

GOOD = """
from skinzoo.api import LossSpec, hookimpl

@hookimpl
def skinzoo_losses():
    return [LossSpec(name="good-loss", title="A loss", build=lambda request: None)]
"""


class Distributions:
    """Writes installed distributions: a module and its metadata each."""

    def __init__(self, folder):
        self.folder = folder

    @property
    def env(self):
        """Environment in which a child process finds them."""
        inherited = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), *([inherited] if inherited else [])])}

    def add(self, name, source, *, version="1.0", target=None):
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(source)
        information = self.folder / f"{module}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (information / "entry_points.txt").write_text(f"[skinzoo]\n{name} = {target or module}\n")


@pytest.fixture
def distributions(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    return Distributions(folder)


@pytest.fixture
def with_good(distributions):
    """The distributions, with one sound plugin beside which the others are broken."""
    distributions.add("good-plugin", GOOD)
    return distributions
