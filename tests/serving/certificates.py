"""Certificates made by the openssl binary, for as long as a test runs."""

import json
import shutil
import subprocess

import grpc
import pytest

from skinzoo.serving.tls import read_ssl_config

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl binary on PATH")
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates; one for a server on this machine and one for a client are made at once."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.ca = folder / "ca.crt"
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=ca"
        )
        for name in ("server", "client"):
            self.signed(name, "subjectAltName=IP:127.0.0.1,DNS:localhost")

    def signed(self, name, extensions):
        """Sign a certificate and return its key and itself, PEM.

        Args:
            name: Name of its files and of its subject.
            extensions: Lines of an extension file of openssl.
        """
        self._openssl(
            "req", "-new", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        (self.folder / "extensions").write_text(extensions)
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.crt", "-days", "2", "-extfile", "extensions",
        )  # fmt: skip
        return tuple((self.folder / f"{name}.{end}").read_bytes() for end in ("key", "crt"))

    def _openssl(self, *arguments):
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def config(self, *, verify_clients=False):
        """Write TensorFlow Serving's SSLConfig and return its path."""
        texts = {"server_key": "server.key", "server_cert": "server.crt", "custom_ca": "ca.crt"}
        lines = [f"{key}: {json.dumps((self.folder / name).read_text())}" for key, name in texts.items()]
        path = self.folder / f"ssl-{verify_clients}.config"
        path.write_text("\n".join([*lines, f"client_verify: {str(verify_clients).lower()}"]))
        return path

    def tls(self, **options):
        return read_ssl_config(self.config(**options))

    def credentials(self, *, client=None):
        """Return a client's credentials; `client` is the authority that its own certificate comes from."""
        own = [(client.folder / f"client.{end}").read_bytes() for end in ("key", "crt")] if client else []
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), *own)
