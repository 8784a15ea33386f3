"""What the process says and ends with: one line on stderr, no traceback, the code of the error."""

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "start"),
    [
        (["list", "no-such-thing-at-all"], 4, "Error: No variant is named 'no-such-thing-at-all'."),
        (["list", "--kind", "x"], 2, "Error: `kind` must be one of"),
        (["show", "resnet5"], 4, "Error: No part is named 'resnet5'. Did you mean 'resnet5"),
        (["show", "cnn", "--classes", "3"], 2, "Error: --classes must come with --build"),
        (["new-plugin", "A"], 2, "Error: `NAME` must be lower-case"),
    ],
)
def test_an_expected_failure_is_one_line(cli, arguments, code, start):
    done = cli(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith(start)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["lst"], ["list", "--kin", "loss"], ["show"], ["show", "cnn", "--classes", "x"]]
)
def test_wrong_usage_ends_with_2(cli, arguments):
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "--help"], ["show", "--help"], ["doctor", "--help"]]
)
def test_help_ends_with_0(cli, arguments):
    done = cli(*arguments, columns=80)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version(cli):
    import skinzoo

    done = cli("--version")
    assert (done.returncode, done.stdout) == (0, f"skinzoo {skinzoo.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "--json"],
        ["show", "resnet50"],
        ["plugins", "--all"],
        ["new-plugin", "lab"],
    ],
)
def test_what_only_looks_parts_up_imports_no_heavy_package(cli, arguments):
    done = cli(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "skinzoo_zoo" in imported
    assert not imported & {"tensorflow", "keras", "pandas", "numpy", "sklearn", "matplotlib", "jax"}


class TestCompletion:
    def complete(self, cli, words):
        env = {
            "_SKINZOO_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        done = cli(env=env)
        return done.stdout.split(), done.stderr

    def test_commands(self, cli):
        found, _ = self.complete(cli, ["skinzoo", "do"])
        assert found == ["doctor"]

    def test_names_of_variants(self, cli):
        found, _ = self.complete(cli, ["skinzoo", "list", "resnet1"])
        assert found == ["resnet152"]

    def test_names_of_every_kind(self, cli):
        found, _ = self.complete(cli, ["skinzoo", "show", "soft_"])
        assert found == ["soft_as_coded"]

    def test_values_of_options(self, cli):
        assert self.complete(cli, ["skinzoo", "show", "cnn", "--fusion", "ga"])[0] == ["gated"]
        assert self.complete(cli, ["skinzoo", "show", "cnn", "--pooling", "f"])[0] == ["flatten"]
        assert self.complete(cli, ["skinzoo", "show", "--cut", "block_14_d"])[0] == ["block_14_depthwise"]
        assert self.complete(cli, ["skinzoo", "list", "--kind", "rec"])[0] == ["recipe"]

    def test_the_script_for_a_shell_can_be_shown(self, cli):
        # Without this Typer asks which shell the process was started from, and a test has none for certain.
        done = cli("--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
        assert done.returncode == 0
        assert "_SKINZOO_COMPLETE=complete_bash" in done.stdout


def test_json_on_stdout_stays_json_beside_notices(cli, tmp_path):
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('no')\n")
    information = tmp_path / "broken_one-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[skinzoo]\nbroken-one = broken_one\n")
    done = cli("list", "--json", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) > 20
    assert len(done.stderr.splitlines()) == 1
