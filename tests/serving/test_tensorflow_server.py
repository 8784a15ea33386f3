"""`skinzoo serve --server tensorflow` against an executable that takes TensorFlow Serving's flags."""

import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest
from calls import Stubs, spec
from model_server import install
from saved_models import save_halves
from typer.testing import CliRunner

from skinzoo.cli import app
from skinzoo.errors import UsageError
from skinzoo.serving.batching import read_batching
from skinzoo.serving.config import read_config
from skinzoo.serving.folders import ModelSource, Policy, find_models
from skinzoo.serving.protection import Protection
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.serve import ServeRequest
from skinzoo.serving.server import ServerOptions
from skinzoo.serving.tensorflow_files import batching_for, models_text, write_files
from skinzoo.serving.tensorflow_server import LaunchOptions, command
from skinzoo.serving.tls import Tls, read_ssl_config

EVERYWHERE = ("--host", "0.0.0.0", "--allow-insecure", "--port", "0")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@contextmanager
def launching(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "serve", *map(str, arguments), "--server", "tensorflow"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_from_start_to_stop(tiny_export, path):
    """It says ready when the golden case is answered, passes SIGTERM on, and ends as the server does."""
    said_by_server = path / "said"
    install(path, before=f"open({str(said_by_server)!r}, 'w').write(chr(10).join(arguments))")
    with launching(tiny_export.parent, *EVERYWHERE) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.match(r"Ready: gRPC on (127\.0\.0\.1:\d+)", line):
                break
        else:
            raise AssertionError("".join(said))
        port = found[1].rpartition(":")[2]
        given = said_by_server.read_text().splitlines()
        assert f"--port={port}" in given
        assert {"--enable_batching=true", "--enable_grpc_healthcheck_service=true"} <= set(given)
        assert Stubs(found[1]).call("GetModelStatus", _status("tiny")).model_version_status[0].state == 30
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert (process.wait(timeout=60), "Stopped." in rest) == (0, True), rest


def _status(name):
    from calls import status

    return status(spec(name))


def run(*arguments):
    done = CliRunner().invoke(
        app, ["serve", *map(str, arguments), "--server", "tensorflow"], env={"COLUMNS": "200"}
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.stderr


@pytest.fixture
def halves(tmp_path):
    return save_halves(tmp_path / "base" / "halves" / "1").parent


def test_a_server_that_dies_shows_its_exit_code_and_last_lines(halves, path):
    install(path, before="print('line 1'); print('no GPU', file=sys.stderr); sys.exit(42)")
    code, text = run(halves, *EVERYWHERE)
    assert code == 6
    assert "exit code 42" in text
    assert "no GPU" in text


def test_a_server_that_is_killed(halves, path):
    install(path, before="import signal; os.kill(os.getpid(), signal.SIGKILL)")
    code, text = run(halves, *EVERYWHERE)
    assert (code, "signal 9" in text) == (6, True), text


def test_the_executable_listens_everywhere_and_says_so(halves, path):
    install(path)
    code, text = run(halves, "--port", 0)
    assert (code, "every address" in text, "--host 0.0.0.0" in text) == (2, True, True), text


def test_no_executable_and_no_container_runtime(halves, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text = run(halves, *EVERYWHERE)
    assert (code, "--binary" in text) == (2, True), text
    code, text = run(halves, "--image", "tensorflow/serving:2.19.1", "--port", 0)
    assert (code, "docker or podman" in text) == (2, True), text


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        (["--engine", "openvino"], "`--engine` must come with --server skinzoo"),
        (["--image", "a", "--binary", "b"], "in one way"),
    ],
)
def test_options_that_do_not_go_together(halves, options, phrase):
    code, text = run(halves, *options)
    assert (code, phrase in text) == (2, True), text
    done = CliRunner().invoke(app, ["serve", str(halves), "--gpus", "all"], env={"COLUMNS": "200"})
    assert (done.exit_code, "--server tensorflow" in done.stderr) == (2, True)


def executable(folder, name):
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod((folder / name).stat().st_mode | stat.S_IXUSR)


def test_the_command_of_a_container(path, tmp_path):
    executable(path, "docker")
    source = ModelSource(name="m", base_path=tmp_path / "m", labels={"stable": 2})
    request = ServeRequest(sources=[source], server=ServerOptions(rest=RestOptions(port=8501)))
    options = LaunchOptions(image="tensorflow/serving:2.19.1-gpu", gpus="all", memory_fraction=0.5)
    words = command(request, options, tmp_path, port=9000, rest_port=9001)
    place = words.index("tensorflow/serving:2.19.1-gpu")
    before, after = words[:place], words[place + 1 :]
    assert before[:5] == ["docker", "run", "--rm", "--init", "--publish"]
    assert {"127.0.0.1:9000:8500", "127.0.0.1:9001:8501"} <= set(before)
    assert before[before.index("--gpus") + 1] == "all"
    assert f"type=bind,source={tmp_path / 'm'},target=/models/m,readonly" in before
    assert before[-2:] == ["--entrypoint", "tensorflow_model_server"]
    assert {"--port=8500", "--rest_api_port=8501", "--model_config_file=/config/models.config"} <= set(after)
    assert {"--per_process_gpu_memory_fraction=0.5", "--monitoring_config_file=/config/monitoring.config",
            "--allow_version_labels_for_unavailable_models=true"} <= set(after)  # fmt: skip
    (read,) = read_config(tmp_path / "models.config")
    assert (str(read.base_path), read.labels) == ("/models/m", {"stable": 2})
    assert read_batching(tmp_path / "batching.config") == batching_for(gpu=True)


def test_files_say_what_was_asked_for_and_keep_the_key_private(tmp_path, tls_pair):
    sources = [
        ModelSource(name="a", base_path=tmp_path / "a", policy=Policy(specific=(2, 5)), labels={"new": 5}),
        ModelSource(name="b", base_path=tmp_path / "b", policy=Policy(latest=None)),
        ModelSource(name="c", base_path=tmp_path / "c", policy=Policy(latest=3)),
    ]
    tls = Tls(key=tls_pair[0], certificate=tls_pair[1])
    files = write_files(tmp_path, sources, batching=batching_for(gpu=False), monitoring=True, tls=tls)
    assert read_config(files["model_config_file"]) == sources
    assert read_batching(files["batching_parameters_file"]) == batching_for(gpu=False)
    assert read_ssl_config(files["ssl_config_file"]) == tls
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files.values())
    assert models_text(sources) == files["model_config_file"].read_text()


def test_a_binary_needs_an_address_that_it_can_listen_on(path, halves, tmp_path):
    install(path)
    request = ServeRequest(
        sources=find_models([halves]),
        server=ServerOptions(host="0.0.0.0", protection=Protection(allow_insecure=True)),
    )
    words = command(request, LaunchOptions(), tmp_path, port=1234, rest_port=0)
    assert words[0] == str(path / "tensorflow_model_server")
    assert {"--port=1234", "--rest_api_port=0"} <= set(words)
    assert not any(word.startswith("--monitoring") for word in words)
    with pytest.raises(UsageError, match="every address"):
        command(ServeRequest(sources=request.sources), LaunchOptions(), tmp_path, port=1, rest_port=0)


@pytest.fixture
def tls_pair(tmp_path):
    """A key and a certificate that it has signed itself, PEM."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=test",
         "-addext", "subjectAltName=DNS:skinzoo.example"],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("openssl is not installed")
    return key.read_bytes(), certificate.read_bytes()
