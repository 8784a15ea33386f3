from pathlib import Path

import pytest

from skinzoo.errors import ModelError, UsageError
from skinzoo.serving.folders import Policy, find_models, versions_in


def make(folder):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")


def found(*bases):
    return {one.name: (one.base_path, one.policy) for one in find_models(bases)}


def test_a_folder_of_models_one_model_or_one_version(tmp_path):
    for version in ("a/1", "a/0012", "b/3"):
        make(tmp_path / version)
    (tmp_path / ".hidden" / "1").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    assert found(tmp_path) == {"a": (tmp_path / "a", Policy()), "b": (tmp_path / "b", Policy())}
    assert found(tmp_path / "a") == {"a": (tmp_path / "a", Policy())}
    assert found(tmp_path / "a" / "0012") == {"a": (tmp_path / "a", Policy(specific=(12,)))}


def test_relative_bases_have_the_name_of_their_folder(tmp_path, monkeypatch):
    make(tmp_path / "a" / "1")
    for where, base in (("a", "."), ("a", "1"), ("a/1", "."), ("a/1", ".."), (".", "a/")):
        monkeypatch.chdir(tmp_path / where)
        assert list(found(Path(base))) == ["a"], (where, base)


def test_two_models_of_one_name(tmp_path):
    make(tmp_path / "one" / "m" / "1")
    make(tmp_path / "two" / "m" / "1")
    with pytest.raises(UsageError, match="a name of its own"):
        found(tmp_path / "one", tmp_path / "two")


def test_a_saved_model_outside_a_version_folder(tmp_path):
    make(tmp_path / "m")
    with pytest.raises(ModelError, match="must be a version number"):
        found(tmp_path / "m")


def test_versions_are_whole_numbers(tmp_path):
    for name in ("1", "002", "2", "v3", "4.part", "-5", "٣"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert versions_in(tmp_path) == {1: tmp_path / "1", 2: tmp_path / "002"}


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (Policy(), [9]),
        (Policy(latest=2), [3, 9]),
        (Policy(latest=None), [1, 3, 9]),
        (Policy(specific=(1, 9, 10)), [1, 9]),
    ],
)
def test_policies(policy, chosen):
    assert policy.choose([9, 1, 3]) == chosen
