"""`skinzoo new-plugin`; what it writes is installed and run in tests/plugins/test_example_plugin.py."""

import ast
import sys

import pytest

from skinzoo.files import read_toml


def test_it_writes_a_plugin_and_names_its_files(invoke, tmp_path):
    result = invoke("new-plugin", "my-lab-net2", "--to", tmp_path)
    assert result.code == 0, result.err
    target = tmp_path / "my-lab-net2"
    assert result.out.splitlines() == sorted(str(p) for p in target.rglob("*") if p.is_file())
    assert [path.name for path in tmp_path.iterdir()] == ["my-lab-net2"]
    project = read_toml(target / "pyproject.toml")["project"]
    assert project["name"] == "my-lab-net2"
    assert project["entry-points"]["skinzoo"] == {"my_lab_net2": "my_lab_net2.plugin"}
    for file in target.rglob("*.py"):
        ast.parse(file.read_text())
    assert "skinzoo_example" not in "".join(p.read_text() for p in target.rglob("*") if p.is_file())


def test_the_plugin_imports_the_core_through_its_api_only(invoke, tmp_path):
    invoke("new-plugin", "skinzoo-lab", "--to", tmp_path)
    imported = set()
    for file in (tmp_path / "skinzoo-lab" / "skinzoo_lab").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skinzoo":
                imported.add(node.module)
            assert not (isinstance(node, ast.Import) and node.names[0].name.startswith("skinzoo"))
    assert imported == {"skinzoo.api"}


def test_its_parts_load_and_are_named_after_it(invoke, tmp_path, monkeypatch):
    invoke("new-plugin", "skinzoo-lab", "--to", tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "skinzoo-lab")
    from skinzoo.plugins import plugin_from_object

    try:
        import skinzoo_lab.plugin

        plugin = plugin_from_object("lab", skinzoo_lab.plugin)
        assert plugin.problem == ""
        assert [(spec.kind, spec.name) for spec in plugin.specs] == [("backbone", "lab"), ("variant", "lab")]
        assert "skinzoo_lab.network" not in sys.modules
    finally:
        for module in [name for name in sys.modules if name.split(".")[0] == "skinzoo_lab"]:
            del sys.modules[module]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Net", "must be lower-case letters and digits in words joined by '-', and start with a letter. "
         "Received: 'My_Net'. Try: my-net"),
        ("2fast", "Received: '2fast'."),
        ("../x", "Received: '../x'. Try: x"),
        ("a--b", "Received: 'a--b'. Try: a-b"),
        ("", "Received: ''."),
        ("skinzoo", "must not be the name of an existing package. Received: 'skinzoo'."),
        ("numpy", "must not be the name of an existing package. Received: 'numpy'."),
        ("json", "must not be the name of an existing package. Received: 'json'."),
        ("class", "must not be a Python keyword. Received: 'class'.\n"),
        ("skinzoo-", "Received: 'skinzoo-'.\n"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_used(invoke, tmp_path, name, message):
    result = invoke("new-plugin", name, "--to", tmp_path)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_whose_parts_are_taken(invoke, tmp_path):
    result = invoke("new-plugin", "skinzoo-resnet50", "--to", tmp_path)
    assert result.code == 4
    assert "would be named 'resnet50', which skinzoo" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_nothing_is_overwritten(invoke, tmp_path, kind):
    target = tmp_path / "skinzoo-lab"
    if kind == "directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "gone")
    result = invoke("new-plugin", "skinzoo-lab", "--to", tmp_path)
    assert result.code == 2
    assert f"must not exist. Received: '{target}'" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["skinzoo-lab"]
    assert kind != "file" or target.read_text() == "mine"


def test_the_folder_must_exist(invoke, tmp_path):
    result = invoke("new-plugin", "skinzoo-lab", "--to", tmp_path / "no")
    assert result.code == 2
    assert "`--to` must be an existing directory." in result.err
