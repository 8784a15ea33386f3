"""The command line inside the process of the tests, where starting a new one is not the point."""

import json

import pytest
from typer.testing import CliRunner

from skinzoo.cli import app


class Result:
    """What a command wrote and its exit code."""

    def __init__(self, done):
        self.code = done.exit_code
        self.out = done.stdout
        self.err = done.stderr
        self.bug = done.exception if not isinstance(done.exception, SystemExit) else None

    @property
    def json(self):
        assert self.code == 0, self.err
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def invoke():
    """Run a command: `invoke("list", "--json", columns=80)`."""

    def run(*arguments, columns=120):
        result = Result(CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": str(columns)}))
        assert result.bug is None, repr(result.bug)
        return result

    return run
