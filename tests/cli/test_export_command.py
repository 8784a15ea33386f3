"""`skinzoo export` as a real process and its bad input."""

import json

import pytest


def test_an_export_from_the_command_line(cli, tiny_run, tmp_path):
    done = cli(
        "export", tiny_run.path, "--to", tmp_path / "base", "--warmup-batches", "2", "--json", timeout=1200
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["path"] == str(tmp_path / "base" / "cnn" / "1")
    assert found["warmup_records"] == 4
    assert found["parity"]["largest_difference"] <= 1e-5
    # What libraries log stays away.
    assert done.stderr.splitlines() == [
        "Loading the run ...",
        "Writing the graph ...",
        "Asking it in a fresh process ...",
    ]
    assert [path.name for path in (tmp_path / "base" / "cnn").iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--version", "0"), 2, "`--version` must be a whole number from 1"),
        (("--version", "-3"), 2, "`--version` must be a whole number from 1"),
        (("--name", "../x"), 2, "`--name` must be"),
        (("--name", "7"), 2, "must not be a number alone"),
        (("--format", "onx"), 2, "Did you mean 'onnx'?"),
        (("--warmup-batches", "1;8"), 2, "`--warmup-batches` must be whole numbers"),
        (("--warmup-batches", "0"), 2, "`warmup_batches` must be whole numbers from 1 to 1024"),
        (("--to", "file"), 5, "`--to` must be a folder that can be written"),
    ],
)
def test_bad_input(invoke, tiny_run, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    result = invoke("export", tiny_run.path, *arguments)
    assert result.code == code
    assert message in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_existing_version_and_an_unknown_run(invoke, tiny_export, tiny_run, tmp_path):
    base = tiny_export.parent.parent
    result = invoke("export", tiny_run.path, "--to", base, "--name", "tiny", "--version", "1")
    assert result.code == 2
    assert "`--version` must be new. Received: 1" in result.err
    result = invoke("export", tmp_path / "none")
    assert result.code == 2
    assert "RUN must be a path" in result.err
