"""Atomic writing."""

import json
import stat

import pytest

from skinzoo.files import read_toml, replacing, write_json, write_text


def test_text_is_written_with_its_parents_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "ä")
    write_text(path, "ö")
    assert path.read_text(encoding="utf-8") == "ö"
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.bin"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("power cut")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_the_temporary_file_is_beside_the_target_and_keeps_its_suffix(tmp_path):
    with replacing(tmp_path / "model.keras") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".keras"
        assert not (tmp_path / "model.keras").exists()
        temporary.write_text("x")


def test_the_file_has_the_permissions_of_an_ordinary_one(tmp_path):
    ordinary, written = tmp_path / "ordinary", tmp_path / "written"
    ordinary.write_text("")
    write_text(written, "")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_json_is_sorted_indented_and_strict(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": ["ü"]})
    assert path.read_text(encoding="utf-8") == '{\n  "a": [\n    "ü"\n  ],\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": ["ü"], "b": 1}


def test_toml_is_read_and_damage_is_a_value_error(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("[model]\ncut = 'a'\n")
    assert read_toml(path) == {"model": {"cut": "a"}}
    path.write_text("[model\n")
    with pytest.raises(ValueError, match="Expected"):
        read_toml(path)
