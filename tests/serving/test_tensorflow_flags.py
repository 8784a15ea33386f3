"""Command lines written for TensorFlow Serving: what our server takes, takes without effect, and refuses."""

import http.client
import json

import pytest
from saved_models import save_halves
from typer.testing import CliRunner

from skinzoo.cli import app
from skinzoo.cli.tensorflow_flags import REFUSED, WITHOUT_EFFECT, check, take_out
from skinzoo.errors import SkinzooError, UsageError
from skinzoo.serving.batching import PER_MODEL_FILE
from skinzoo.serving.loading import LoadOptions, load


def test_flags_are_taken_out_with_their_values():
    kept, taken = take_out(["base", "--port=1", "--num-load-threads=4", "--enable-profiler", "--", "--x"])
    assert kept == ["base", "--port=1", "--", "--x"]
    assert taken == {"num_load_threads": "4", "enable_profiler": "true"}
    assert take_out(["--", "--enable-profiler"]) == (["--", "--enable-profiler"], {})


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_have_to_be_honoured_is_refused_unless_it_is_off(name):
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=option):
        check(take_out([f"{option}=true"])[1])
    assert check(take_out([f"{option}=false"])[1]) == []


def test_what_does_nothing_says_so():
    (line,) = check({"num_load_threads": "4"})
    assert line.startswith("--num-load-threads does nothing: ")
    assert len(check(dict.fromkeys(WITHOUT_EFFECT, "1"))) == len(WITHOUT_EFFECT)


def test_the_command_line(tmp_path):
    base = save_halves(tmp_path / "base" / "halves" / "1").parent

    def run(*arguments):
        words = ["serve", str(base), *arguments]
        done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        return done.exit_code, done.stderr

    code, text = run("--use_alts_credentials=true")
    assert (code, "--ssl-config-file" in text) == (2, True), text
    # The last one ends the command before anything is served.
    code, text = run("--num_load_threads=2", "--flush_filesystem_caches=false", "--engine=none")
    assert (code, "--num-load-threads does nothing" in text) == (2, True), text
    code, text = run("--num_of_nothing=2")
    assert (code, "No such option" in text) == (2, True), text


def test_parameters_in_the_version_folder(tmp_path):
    version = save_halves(tmp_path / "halves" / "1")
    (version / PER_MODEL_FILE).write_text("max_batch_size { value: 2 }")
    row = {"x": [1.0, 2.0, 3.0]}

    def rows_of(**options):
        return _run(load("halves", 1, version, LoadOptions(enable_batching=True, **options)), row)

    assert rows_of() == [2.5, 3.0, 3.5]
    assert "larger than maximum input batch size" in rows_of(per_model_batching=True)
    (version / PER_MODEL_FILE).write_text("nothing")
    with pytest.raises(SkinzooError, match=PER_MODEL_FILE):
        rows_of(per_model_batching=True)


def _run(servable, inputs):
    import numpy as np

    from skinzoo.serving.status import RpcError

    arrays = {name: np.float32(values) for name, values in inputs.items()}
    try:
        return servable.run("serving_default", arrays)["y"].tolist()
    except RpcError as error:
        return error.message
    finally:
        servable.close()


def test_warm_up_records_are_replayed_as_often_as_asked_for(tiny_export, monkeypatch):
    from skinzoo.serving import warmup

    def answered(**options):
        count = 0
        predict = warmup.inference.predict

        def counted(*arguments):
            nonlocal count
            count += 1
            return predict(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(warmup.inference, "predict", counted)
            load("tiny", 1, tiny_export, LoadOptions(**options)).close()
        return count

    once = answered()
    assert once > 0
    assert answered(warmup_times=3) == 3 * once


@pytest.mark.parametrize("allowed", [True, False])
def test_pages_of_other_origins(allowed):
    pytest.importorskip("starlette", reason="skinzoo[rest] is not installed")
    pytest.importorskip("uvicorn", reason="skinzoo[rest] is not installed")
    from skinzoo.serving.models import Models
    from skinzoo.serving.protection import Protection
    from skinzoo.serving.rest.options import RestOptions
    from skinzoo.serving.rest.server import RestServer
    from skinzoo.serving.tokens import Tokens

    protection = Protection(tokens=Tokens(["0123456789abcdef-for-tests"]))
    server = RestServer(Models(), "127.0.0.1", RestOptions(port=0, cors=allowed, protection=protection))
    server.start()
    try:
        origin = {"Origin": "https://page.example"}
        asks = origin | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        status, headers, _ = _answer(server, "OPTIONS", asks)
        assert (status == 200, "access-control-allow-headers" in headers) == (allowed, allowed)
        # A refusal can be read by the page too.
        status, headers, body = _answer(server, "POST", origin)
        assert (status, headers.get("access-control-allow-origin")) == (401, "*" if allowed else None)
        assert "token" in json.loads(body)["error"]
    finally:
        server.stop(1)
        server.wait()


def _answer(server, method, headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, "/v1/models/absent:predict", headers=headers)
    answer = connection.getresponse()
    found = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
    connection.close()
    return found
