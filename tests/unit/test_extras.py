"""Optional dependencies."""

import pytest

from skinzoo.errors import MissingExtraError
from skinzoo.extras import require


def test_an_installed_module_is_imported():
    import json

    assert require("json", extra="x", purpose="It") is json


def test_a_missing_module_gives_the_pip_command():
    with pytest.raises(MissingExtraError) as caught:
        require("a_module_nobody_has", extra="shap", purpose="`explain --method shap`")
    assert caught.value.message.startswith("`explain --method shap` needs the package 'a_module_nobody_has'")
    assert caught.value.hint == 'Install it with: pip install "skinzoo[shap]"'


def test_a_submodule_of_a_missing_package_counts_as_missing():
    with pytest.raises(MissingExtraError):
        require("a_module_nobody_has.part", extra="shap", purpose="It")


def test_a_broken_module_is_not_taken_for_a_missing_one(tmp_path, monkeypatch):
    (tmp_path / "module_with_a_bug.py").write_text("import another_module_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_module_nobody_has"):
        require("module_with_a_bug", extra="x", purpose="It")
