"""Whether a TensorFlow Serving with TLS is ready, asked over real connections."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from certificates import Authority, needs_openssl
from model_server import install
from saved_models import save_halves

from skinzoo.errors import ServingError
from skinzoo.serving.tensorflow_ready import Asked, Pair, wait_until_ready
from skinzoo.serving.tls import Tls

pytestmark = needs_openssl

DNS, IP, NO_NAME = "subjectAltName=DNS:a.example", "subjectAltName=IP:10.1.2.3", "basicConstraints=CA:FALSE"
FOR_SERVERS, FOR_CLIENTS = "\nextendedKeyUsage=serverAuth", "extendedKeyUsage=clientAuth"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


def check(tls, client=None, shown=None):
    """Ask a server that proves itself with `shown`."""
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_secure_port("127.0.0.1:0", (shown or tls).credentials())
    server.start()
    try:
        wait_until_ready(Asked(address=f"127.0.0.1:{port}", sources=[], tls=tls, client=client), seconds=60)
    finally:
        server.stop(0)


@pytest.mark.parametrize("extension", [DNS, IP, NO_NAME, DNS + FOR_SERVERS])
@pytest.mark.parametrize("with_ca", [True, False])
def test_whatever_name_a_certificate_has_and_whoever_signed_it(authority, extension, with_ca):
    key, certificate = authority.signed("leaf", extension)
    check(Tls(key=key, certificate=certificate, ca=authority.ca.read_bytes() if with_ca else b""))


def test_mutual_tls(authority):
    ca = authority.ca.read_bytes()
    key, certificate = authority.signed("both", DNS)
    check(Tls(key=key, certificate=certificate, ca=ca, verify_clients=True))
    key, certificate = authority.signed("server-only", DNS + FOR_SERVERS)
    tls = Tls(key=key, certificate=certificate, ca=ca, verify_clients=True)
    with pytest.raises(ServingError, match="closes") as raised:
        check(tls)
    assert "--ready-cert" in raised.value.hint
    key, certificate = authority.signed("client-only", FOR_CLIENTS)
    check(tls, client=Pair(key=key, certificate=certificate))


def test_somebody_else_listens(authority, tmp_path):
    meant, other = authority.tls(), Authority(tmp_path / "other").tls()
    with pytest.raises(ServingError, match="another one"):
        check(meant, shown=other)


@pytest.mark.slow
def test_our_own_server_under_that_name(authority, tmp_path):
    """With TLS for both sides, from the command line; tokens are nothing that TensorFlow Serving has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    install(folder)
    key, certificate = authority.signed("for-servers", DNS + FOR_SERVERS)
    texts = {"server_key": key, "server_cert": certificate, "custom_ca": authority.ca.read_bytes()}
    config = tmp_path / "ssl.config"
    lines = [f"{name}: {json.dumps(text.decode())}" for name, text in texts.items()]
    config.write_text("\n".join([*lines, "client_verify: true"]))
    base = save_halves(tmp_path / "base" / "halves" / "1").parent

    def run(*options):
        return subprocess.Popen(
            [sys.executable, "-m", "skinzoo", "serve", str(base), "--server=tensorflow", "--host=0.0.0.0",
             "--port=0", f"--ssl-config-file={config}", *map(str, options)],
            stderr=subprocess.PIPE, text=True, env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        )  # fmt: skip

    pair = (
        f"--ready-cert={authority.folder / 'client.crt'}",
        f"--ready-key={authority.folder / 'client.key'}",
    )
    process = run(*pair)
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("Ready: gRPC on "):
            break
    process.terminate()
    process.communicate(timeout=120)
    assert "Ready: gRPC on " in said, said
    tokens = tmp_path / "tokens"
    tokens.write_text("0123456789abcdef-for-tests")
    process = run("--token-file", tokens, *pair)
    _, text = process.communicate(timeout=120)
    assert (process.returncode, "`--token-file` must come with --server skinzoo" in text) == (2, True), text
