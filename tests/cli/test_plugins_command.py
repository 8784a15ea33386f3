"""`skinzoo plugins`; broken plugins are tested in tests/plugins."""

from skinzoo.registry import registry


def built_in():
    return [plugin for plugin in registry().plugins if plugin.provider.distribution == "skinzoo"]


def test_built_ins_are_one_row(invoke):
    result = invoke("plugins", columns=80)
    assert result.code == 0
    (row,) = [line for line in result.out.splitlines() if "built-in" in line]
    assert row.startswith(f"({len(built_in())} built-in)")
    assert str(sum(len(plugin.specs) for plugin in built_in())) in row.split()


def test_all_lists_each(invoke):
    lines = invoke("plugins", "--all").out.splitlines()
    for plugin in built_in():
        (row,) = [line for line in lines if line.split()[:1] == [plugin.provider.plugin]]
        assert row.split()[1:5] == ["skinzoo", plugin.provider.version, "loaded", str(len(plugin.specs))]


def test_json_lists_each_with_its_parts(invoke):
    found = {plugin["plugin"]: plugin for plugin in invoke("plugins", "--json").json["plugins"]}
    assert found["cnn"] == {
        "plugin": "cnn",
        "distribution": "skinzoo",
        "version": registry().part("variant", "cnn").provider.version,
        "target": "skinzoo_zoo.backbones.cnn",
        "status": "loaded",
        "hooks": ["skinzoo_backbones", "skinzoo_variants"],
        "parts": [{"kind": "backbone", "name": "cnn"}, {"kind": "variant", "name": "cnn"}],
        "problem": "",
    }
    assert {plugin["status"] for plugin in found.values()} == {"loaded"}
