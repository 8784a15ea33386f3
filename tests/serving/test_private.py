"""`skinzoo serve` and `predict` as they are started in earnest: TLS, tokens, and what is written down."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import grpc
import numpy as np
import pytest
from calls import example, predict, spec
from certificates import Authority, needs_openssl
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc
from typed_servers import Golden

from skinzoo.client import Client
from skinzoo.serving.tensors import to_proto
from skinzoo.v1 import lesion_classifier_pb2 as pb
from skinzoo.v1.lesion_classifier_pb2_grpc import LesionClassifierStub

pytestmark = needs_openssl
TOKEN = "a-token-that-must-stay-secret-93c1"
MARK = "Xq7PatientZz"
has_rest = all(find_spec(name) for name in ("starlette", "uvicorn"))


class Started:
    """A server whose every word is kept."""

    def __init__(self, folder, export, authority):
        self.authority = authority
        tokens = folder / "tokens"
        tokens.write_text(f"{TOKEN}\nanother-token-of-somebody-else\n")
        self._log = (folder / "log").open("w+")
        rest = ["--rest-api-port=-1"] if has_rest else []
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "skinzoo", "serve", str(export), "--host=0.0.0.0", "--port=0", *rest,
                f"--ssl_config_file={authority.config()}", f"--token-file={tokens}",
            ],
            stdout=self._log,
            stderr=self._log,
            # What TensorFlow may say is wanted too.
            env=os.environ | {"SKINZOO_HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "0"},
        )  # fmt: skip
        while not (ready := re.search(r"Ready: gRPC on \S+:(\d+)(?:, REST on \S+:(\d+))?\.", self.said())):
            assert self.process.poll() is None, self.said()
            time.sleep(0.2)
        self.port, self.rest_port = ready[1], ready[2]
        self.address = f"127.0.0.1:{self.port}"

    def said(self):
        self._log.seek(0)
        return self._log.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=120) == 0

    def rest(self, path, body=None, token=TOKEN, trusted=True):
        """Return status and body of a REST request."""
        context = ssl.create_default_context(cafile=str(self.authority.ca) if trusted else None)
        request = urllib.request.Request(f"https://127.0.0.1:{self.rest_port}{path}", data=body)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, context=context, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@pytest.fixture(scope="module")
def golden(tiny_export):
    return Golden(tiny_export)


@pytest.fixture(scope="module")
def server(tiny_export, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    started = Started(folder, tiny_export.parent, Authority(folder / "ca"))
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.wait()
    started._log.close()


def test_predict_reaches_the_server_with_certificate_and_token_alone(server, golden, cli, tmp_path):
    image = tmp_path / "lesion.jpg"
    image.write_bytes(golden.cases[0].image)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    question = ("predict", image, "--server", server.address, "--timeout=60", "--format=jsonl")
    trust = ("--ca", server.authority.ca)
    for answered in (
        cli(*question, *trust, "--token-file", token),
        cli(*question, *trust, env={"SKINZOO_TOKEN": TOKEN}),
    ):
        assert answered.returncode == 0, answered.stderr
        assert json.loads(answered.stdout)["predicted_class"] in golden.classes
    without = cli(*question, *trust)
    assert (without.returncode, "SKINZOO_TOKEN" in without.stderr) == (6, True), without.stderr
    for untrusting in (cli(*question, "--tls", env={"SKINZOO_TOKEN": TOKEN}), cli(*question)):
        assert (untrusting.returncode, "--ca" in untrusting.stderr) == (6, True), untrusting.stderr
    wrong = cli(*question, *trust, "--cert", server.authority.ca)
    assert (wrong.returncode, "--key" in wrong.stderr) == (2, True), wrong.stderr


@pytest.mark.skipif(not has_rest, reason="skinzoo[rest] is not installed")
def test_rest_has_the_same_door(server):
    path = "/v1/models/tiny"
    status, body = server.rest(path)
    assert (status, json.loads(body)["model_version_status"][0]["state"]) == (200, "AVAILABLE")
    for token in (None, "", "a-token-that-must-stay-secret-93c2"):
        status, body = server.rest(path, token=token)
        assert (status, "token" in json.loads(body)["error"]) == (401, True)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        server.rest(path, trusted=False)
    with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
        urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}{path}", timeout=30)


def test_nothing_about_patients_and_no_token_is_written_down(server, golden):
    """Requests of every kind, good and bad, all marked; then every word of the server is read."""
    image = golden.cases[0].image
    extra = (("authorization", f"Bearer {TOKEN}"),)
    good = pb.Case(id=MARK, image=image, age=48.25, sex=MARK, localization=MARK)
    cases = [
        good,
        pb.Case(id=MARK, image=MARK.encode()),
        pb.Case(id=MARK, image=image[:400]),
        pb.Case(id=MARK, image=image, age=987654.25),
        pb.Case(id=MARK),
    ]
    with grpc.secure_channel(server.address, server.authority.credentials()) as channel:
        typed = LesionClassifierStub(channel)
        answer = typed.Classify(pb.ClassifyRequest(cases=cases), timeout=120, metadata=extra)
        assert [one.WhichOneof("outcome") for one in answer.results] == ["classification", *["error"] * 4]
        sent = [pb.ClassifyStreamRequest(case=case) for case in cases]
        assert len(list(typed.ClassifyStream(iter(sent), timeout=120, metadata=extra))) == 5
        typed.Explain(pb.ExplainRequest(case=cases[1]), timeout=120, metadata=extra)
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        inputs = {"image_bytes": [image], "age": np.float32([48.25]), "sex": [MARK], "localization": [MARK]}
        codes = []
        bad = (
            {"image_bytes": [MARK.encode()]},
            {"image_bytes": [image[:400]]},
            {"age": [MARK]},
            {MARK: [MARK]},
        )
        for changes in ({}, *bad):
            try:
                given = {name: to_proto(np.array(value)) for name, value in (inputs | changes).items()}
                given["image_bytes"].string_val[:] = (inputs | changes)["image_bytes"]
                given["image_bytes"].dtype = 7
                service.Predict(predict(spec("tiny"), given), timeout=120, metadata=extra)
            except grpc.RpcError as error:
                codes.append(error.code())
        assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * len(bad), codes
        marked = example(1.0)
        marked.features.feature[MARK].bytes_list.value.append(MARK.encode())
        request = classification_pb2.ClassificationRequest(model_spec=spec("tiny", signature="classify"))
        request.input.example_list.examples.append(marked)
        with pytest.raises(grpc.RpcError):
            service.Classify(request, timeout=120, metadata=extra)
        # Bytes that are no message of the protocol.
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/skinzoo.v1.LesionClassifier/Classify")(
                b"\x0a\xff\xff" + MARK.encode(), timeout=120, metadata=extra
            )
    if has_rest:
        for body in (
            MARK,
            '{"instances": ["' + MARK + '"]}',
            '{"' + MARK + '": 1}',
            '{"instances": [{"age": 1}]}',
        ):
            assert server.rest(f"/v1/models/tiny:predict?{MARK}", body.encode())[0] == 400
        assert server.rest(f"/v1/models/{MARK}")[0] == 404
        assert server.rest(f"/v1/models/tiny:predict?{MARK}", b"{}", token=MARK)[0] == 401
    with Client(
        server.address, credentials=server.authority.credentials(), token=TOKEN, model="tiny"
    ) as client:
        golden.check(client.classify(golden.cases))
    server.stop()
    said = server.said()
    assert "Stopped." in said
    for secret in (
        MARK,
        "48.25",
        "987654",
        TOKEN,
        "another-token",
        "BEGIN",
        *(one.id for one in golden.cases),
    ):
        assert secret not in said, said
