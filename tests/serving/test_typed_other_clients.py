"""A client that has the .proto and nothing else: no skinzoo, no TensorFlow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typed_servers import Golden, Server, WatchedServable, models_of

import skinzoo.v1
from skinzoo.files import read_toml

ROOT = Path(__file__).resolve().parents[2]
PROTO = "lesion_classifier.proto"
CLIENT = """
import base64, json, sys
import grpc
from importlib.util import find_spec
from skinzoo.v1 import lesion_classifier_pb2 as pb, lesion_classifier_pb2_grpc as services

golden = json.load(open(sys.argv[2]))
cases = []
for one in golden["cases"]:
    case = pb.Case(id=one["id"], image=base64.b64decode(one["image"]), sex=one["sex"])
    case.localization = one["localization"]
    if one["age"] is not None:
        case.age = one["age"]
    cases.append(case)
with grpc.insecure_channel(sys.argv[1]) as channel:
    answer = services.LesionClassifierStub(channel).Classify(pb.ClassifyRequest(cases=cases), timeout=120)
json.dump(
    {
        "absent": [name for name in ("tensorflow", "keras", "numpy") if find_spec(name) is None],
        "stubs": pb.__file__,
        "rows": [list(one.classification.probabilities) for one in answer.results],
    },
    sys.stdout,
)
"""


def test_the_proto_lies_beside_the_generated_modules():
    shipped = Path(skinzoo.v1.__path__[0]) / PROTO
    assert shipped.read_bytes() == (ROOT / "protos" / "skinzoo" / "v1" / PROTO).read_bytes(), (
        "reinstall: pip install -e ."
    )


def test_generated_code_needs_no_more_than_is_declared():
    """The versions that the generated modules check for are the lower bounds of the dependencies."""
    project = read_toml(ROOT / "pyproject.toml")["project"]
    bounds = [re.match(r"(protobuf|grpcio)>=([\d.]+)", one) for one in project["dependencies"]]
    lowest = dict(one.groups() for one in bounds if one)
    folder = Path(skinzoo.v1.__path__[0])
    messages = (folder / "lesion_classifier_pb2.py").read_text()
    assert f"# Protobuf Python Version: {lowest['protobuf']}\n" in messages
    services = (folder / "lesion_classifier_pb2_grpc.py").read_text()
    assert f"GRPC_GENERATED_VERSION = '{lowest['grpcio']}" in services


@pytest.mark.slow
def test_a_client_in_a_clean_environment(tiny_export, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"

    def run(*command):
        done = subprocess.run(
            [str(one) for one in command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(python, "-m", "pip", "install", "-q", "grpcio", "grpcio-tools", "protobuf")
    run(
        python, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", "--python_out=.", "--grpc_python_out=.",
        ROOT / "protos" / "skinzoo" / "v1" / PROTO,
    )  # fmt: skip
    server = Server(models_of(WatchedServable("tiny", 1, tiny_export)))
    try:
        (tmp_path / "client.py").write_text(CLIENT)
        golden_file = tiny_export / "assets.extra" / "skinzoo_golden.json"
        found = json.loads(run(python, "client.py", server.address, golden_file))
    finally:
        server.stop()
    assert found["absent"] == ["tensorflow", "keras", "numpy"]
    assert Path(found["stubs"]).is_relative_to(tmp_path)
    expected = Golden(tiny_export).probabilities
    assert any(case.age is None for case in Golden(tiny_export).cases)
    for row, wanted in zip(found["rows"], expected, strict=True):
        assert max(abs(a - b) for a, b in zip(row, wanted, strict=True)) < 1e-5
