"""What only looks things up leaves TensorFlow and Keras unimported."""

import json
import subprocess
import sys

import pytest

# markdown_it comes with rich's help, which takes longer to import than skinzoo itself.
HEAVY = ("tensorflow", "keras", "jax", "torch", "markdown_it")
RUN = (
    f"HEAVY = {HEAVY}"
    + """
import contextlib, io, json, sys
from skinzoo.cli import main

sys.argv = ["skinzoo", *json.loads(sys.argv[1])]
out, code = io.StringIO(), 0
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
    try:
        main()
    except SystemExit as end:
        code = end.code
heavy = sorted({name.partition(".")[0] for name in sys.modules} & set(HEAVY))
json.dump({"code": code, "heavy": heavy, "printed": out.getvalue()}, sys.stdout)
"""
)
COMMANDS = """
import json, sys, typer
from skinzoo.cli import app

def paths(command, path):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, [*path, name])

json.dump(list(paths(typer.main.get_command(app), [])), sys.stdout)
"""


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def looks_up(*arguments):
    result = run(RUN, json.dumps(arguments))
    assert result["code"] in (0, None), result["printed"]
    assert result["printed"].strip()
    assert not result["heavy"], f"`skinzoo {' '.join(arguments)}` imported {', '.join(result['heavy'])}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["list"],
        ["list", "mobilenet*", "--json"],
        ["list", "--kind", "loss"],
        ["list", "--kind", "dataset"],
        ["show", "mobilenetv2"],
        ["show", "mobilenetv2", "--json"],
        ["show", "weighted_ce"],
        ["plugins"],
    ],
    ids=" ".join,
)
def test_command_leaves_tensorflow_alone(arguments):
    looks_up(*arguments)


def test_help_of_every_command_leaves_tensorflow_alone():
    paths = run(COMMANDS)
    assert {"list", "show", "plugins", "data"} <= {path[0] for path in paths if path}
    for path in paths:
        looks_up(*path, "--help")


@pytest.mark.parametrize(
    "module", ["skinzoo", "skinzoo.api", "skinzoo.cli", "skinzoo.registry", "skinzoo.data"]
)
def test_import_leaves_tensorflow_alone(module):
    heavy = "[name for name in ('tensorflow', 'keras') if name in sys.modules]"
    script = f"import json, sys, {module}; json.dump({heavy}, sys.stdout)"
    assert run(script) == []


def test_an_import_would_be_noticed():
    assert run("import sys; sys.modules['keras'] = sys\n" + RUN, '["--version"]')["heavy"] == ["keras"]
