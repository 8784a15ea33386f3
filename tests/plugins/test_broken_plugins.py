"""Every way to break a plugin: each is reported, and the others go on working."""

import json

import pytest

LOSS = 'LossSpec(name="{name}", title="A loss", build=lambda request: None{more})'
HEAD = "from skinzoo.api import BackboneSpec, LossSpec, hookimpl\n"


def losses(*specs, hook="skinzoo_losses"):
    return f"{HEAD}@hookimpl\ndef {hook}():\n    return [{', '.join(specs)}]\n"


RAISES = "raise RuntimeError('no licence file [here]')\n"
EXITS = "import sys\nsys.exit(3)\n"
NOT_FOUND = "import a_package_that_nobody_has\n"
WRONG_TYPE = f"{HEAD}@hookimpl\ndef skinzoo_backbones():\n    return ['resnet1000']\n"
NOT_A_LIST = f"{HEAD}@hookimpl\ndef skinzoo_losses():\n    return {LOSS.format(name='x', more='')}\n"
NOTHING = f"{HEAD}@hookimpl\ndef skinzoo_losses():\n    pass\n"
OTHER_KIND = losses(LOSS.format(name="x", more=""), hook="skinzoo_backbones")
MISSPELT = losses(LOSS.format(name="x", more=""), hook="skinzoo_lossses")
NEWER = losses(LOSS.format(name="x", more=", api_version=99"))
BAD_NAME = losses(LOSS.format(name="Bad Name", more=""))
RAISES_IN_HOOK = f"{HEAD}@hookimpl\ndef skinzoo_losses():\n    raise KeyError('weights')\n"
EXITS_IN_HOOK = f"{HEAD}@hookimpl\ndef skinzoo_losses():\n    raise SystemExit(0)\n"
NO_HOOK = "x = 1\n"

BROKEN = {
    "raises-at-import": (RAISES, "import failed: RuntimeError: no licence file [here]"),
    "exits-at-import": (EXITS, "import failed: SystemExit: 3"),
    "lacks-a-package": (NOT_FOUND, "No module named 'a_package_that_nobody_has'"),
    "wrong-type": (WRONG_TYPE, "`skinzoo_backbones` must return BackboneSpec objects. Received: str"),
    "not-a-list": (NOT_A_LIST, "`skinzoo_losses` must return a list of LossSpec"),
    "nothing": (NOTHING, "`skinzoo_losses` must return a list of LossSpec. Received: None"),
    "other-kind": (OTHER_KIND, "`skinzoo_backbones` must return BackboneSpec objects. Received: LossSpec"),
    "misspelt": (MISSPELT, "unknown hook 'skinzoo_lossses'. Did you mean 'skinzoo_losses'?"),
    "newer": (NEWER, "'x' was written for contract version 99"),
    "bad-name": (BAD_NAME, "names must be lower-case letters"),
    "raises-in-hook": (RAISES_IN_HOOK, "KeyError: 'weights'"),
    "exits-in-hook": (EXITS_IN_HOOK, "SystemExit: 0"),
    "no-hook": (NO_HOOK, "it implements no hook"),
}


@pytest.fixture
def all_broken(with_good):
    for name, (source, _) in BROKEN.items():
        with_good.add(name, source)
    return with_good


def plugins_by_name(done):
    return {plugin["plugin"]: plugin for plugin in json.loads(done.stdout)["plugins"]}


def test_each_broken_plugin_is_reported_and_the_others_load(cli, all_broken):
    done = cli("plugins", "--json", env=all_broken.env)
    assert done.returncode == 0, done.stderr
    found = plugins_by_name(done)
    for name, (_, problem) in BROKEN.items():
        assert found[name]["status"] == "failed", name
        assert problem in found[name]["problem"], name
        assert found[name]["distribution"] == name
        assert found[name]["version"] == "1.0"
    assert found["good-plugin"]["status"] == "loaded"
    assert found["good-plugin"]["parts"] == [{"kind": "loss", "name": "good-loss"}]
    built_in = [plugin for plugin in found.values() if plugin["distribution"] == "skinzoo"]
    assert built_in
    assert {plugin["status"] for plugin in built_in} == {"loaded"}


def test_the_table_names_each_broken_plugin_and_its_problem(cli, all_broken):
    done = cli("plugins", env=all_broken.env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for name in BROKEN:
        assert any(line.startswith(f"{name} failed: ") for line in lines), name
    assert "no licence file [here]" in done.stdout


def test_what_a_sound_plugin_provides_stays_usable(cli, all_broken):
    done = cli("show", "good-loss", "--json", env=all_broken.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parts"][0]["provider"]["distribution"] == "good-plugin"


def test_list_goes_on_with_one_line_a_broken_plugin(cli, all_broken):
    done = cli("list", "--json", env=all_broken.env)
    assert done.returncode == 0
    assert "cnn" in {variant["name"] for variant in json.loads(done.stdout)}
    notices = done.stderr.splitlines()
    assert len(notices) == len(BROKEN)
    assert (
        "Notice: plugin raises-at-import 1.0 (raises-at-import) failed to load. See: skinzoo plugins"
        in notices
    )


def test_asking_for_a_part_of_a_broken_plugin_ends_with_4_and_names_it(cli, with_good):
    with_good.add("broken-net", RAISES)
    done = cli("show", "broken-backbone", env=with_good.env)
    assert done.returncode == 4
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Plugins that failed to load: broken-net; see: skinzoo plugins" in done.stderr


class TestDuplicateName:
    @pytest.fixture
    def duplicate(self, with_good):
        with_good.add("copycat", losses(LOSS.format(name="good-loss", more="")), version="2.5")
        return with_good

    def test_is_reported_with_both_distributions(self, cli, duplicate):
        done = cli("plugins", "--json", env=duplicate.env)
        assert done.returncode == 0
        (conflict,) = json.loads(done.stdout)["conflicts"]
        assert (conflict["kind"], conflict["name"]) == ("loss", "good-loss")
        assert [p["distribution"] for p in conflict["providers"]] == ["copycat", "good-plugin"]

    def test_asking_for_it_ends_with_4_and_says_how_to_choose(self, cli, duplicate):
        done = cli("show", "good-loss", env=duplicate.env)
        assert done.returncode == 4
        assert "registered by copycat 2.5 (copycat) and by good-plugin 1.0 (good-plugin)" in done.stderr
        assert "SKINZOO_DISABLED_PLUGINS=good-plugin" in done.stderr

    def test_both_are_marked_beside_their_status(self, cli, duplicate):
        rows = cli("plugins", env=duplicate.env).stdout.splitlines()
        for name in ("copycat", "good-plugin"):
            (row,) = [line for line in rows if line.split()[:1] == [name]]
            assert "loaded, conflict" in row

    def test_is_usable_once_one_is_disabled(self, cli, duplicate):
        env = {**duplicate.env, "SKINZOO_DISABLED_PLUGINS": "good-plugin"}
        done = cli("show", "good-loss", "--json", env=env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["parts"][0]["provider"]["distribution"] == "copycat"


def test_a_name_of_a_built_in_part_names_both_distributions(cli, distributions):
    source = HEAD + (
        "from skinzoo.api import VariantSpec\n"
        "@hookimpl\n"
        "def skinzoo_variants():\n"
        "    parts = {'backbone': 'cnn', 'attention': 'soft', 'fusion': 'mlp'}\n"
        "    return [VariantSpec(name='cnn', title='Another', **parts)]\n"
    )
    distributions.add("copycat", source)
    done = cli("list", "cnn", env=distributions.env)
    assert done.returncode == 4
    assert "registered by skinzoo " in done.stderr
    assert "copycat 1.0 (copycat)" in done.stderr
    others = cli("list", "resnet50", "--json", env=distributions.env)
    assert others.returncode == 0
    assert [variant["name"] for variant in json.loads(others.stdout)] == ["resnet50"]
    assert others.stderr.startswith("Notice: The variant name 'cnn' is registered by")


def test_a_command_hook_that_raises_costs_only_its_commands(cli, distributions):
    source = (
        "from skinzoo.api import hookimpl\n"
        "@hookimpl\n"
        "def skinzoo_commands(app):\n"
        "    raise RuntimeError('no')\n"
    )
    distributions.add("bad-commands", source)
    done = cli("list", "cnn", "--json", env=distributions.env)
    assert done.returncode == 0
    assert "bad-commands 1.0 (bad-commands) failed in its hook `skinzoo_commands`" in done.stderr


def test_a_command_cannot_take_the_place_of_another(cli, distributions):
    source = (
        "from skinzoo.api import hookimpl\n"
        "@hookimpl\n"
        "def skinzoo_commands(app):\n"
        "    @app.command('list')\n"
        "    def mine():\n"
        "        print('mine')\n"
        "    @app.command()\n"
        "    def other():\n"
        "        print('other')\n"
    )
    distributions.add("impostor", source)
    done = cli("list", "cnn", "--json", env=distributions.env)
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["name"] == "cnn"
    assert "plugin impostor 1.0 (impostor) are left out: there is a command 'list' already." in done.stderr


def test_a_command_of_a_plugin_runs(cli, distributions):
    source = (
        "from skinzoo.api import hookimpl\n"
        "@hookimpl\n"
        "def skinzoo_commands(app):\n"
        "    @app.command('greet')\n"
        "    def greet(name: str):\n"
        "        '''Greet.'''\n"
        "        print('Hello ' + name)\n"
    )
    distributions.add("greeter", source)
    done = cli("greet", "you", env=distributions.env)
    assert (done.returncode, done.stdout) == (0, "Hello you\n")


class TestAllowAndBlock:
    @pytest.fixture
    def two(self, with_good):
        with_good.add("Other_Plugin", losses(LOSS.format(name="other-loss", more="")))
        return with_good

    def statuses(self, cli, env):
        found = plugins_by_name(cli("plugins", "--json", env=env))
        built_in = {p["status"] for p in found.values() if p["distribution"] == "skinzoo"}
        return found["good-plugin"], found["Other_Plugin"], built_in

    def test_the_allow_list_keeps_built_ins_and_what_it_names(self, cli, two):
        good, other, built_in = self.statuses(cli, {**two.env, "SKINZOO_PLUGINS": "good_plugin"})
        assert good["status"] == "loaded"
        assert (other["status"], other["problem"]) == ("disabled", "not named in SKINZOO_PLUGINS")
        assert built_in == {"loaded"}

    def test_an_empty_allow_list_leaves_only_built_ins(self, cli, two):
        good, other, built_in = self.statuses(cli, {**two.env, "SKINZOO_PLUGINS": ""})
        assert (good["status"], other["status"]) == ("disabled", "disabled")
        assert built_in == {"loaded"}

    def test_the_block_list_wins_and_takes_any_spelling(self, cli, two):
        env = {**two.env, "SKINZOO_PLUGINS": "good-plugin,other-plugin"}
        env["SKINZOO_DISABLED_PLUGINS"] = "x, other-plugin"
        good, other, _ = self.statuses(cli, env)
        assert good["status"] == "loaded"
        assert (other["status"], other["problem"]) == ("disabled", "named in SKINZOO_DISABLED_PLUGINS")
        notices = cli("plugins", env=env).stderr.splitlines()
        assert notices == [
            "Notice: SKINZOO_DISABLED_PLUGINS names 'x', which no plugin or distribution here has."
        ]

    def test_a_blocked_plugin_is_not_imported(self, cli, two):
        two.add("noisy", "print('imported')\n")
        done = cli("list", env={**two.env, "SKINZOO_DISABLED_PLUGINS": "noisy"})
        assert "imported" not in done.stdout

    def test_a_built_in_can_be_blocked(self, cli, two):
        done = cli("show", "cnn", env={**two.env, "SKINZOO_DISABLED_PLUGINS": "cnn"})
        assert done.returncode == 4
