"""What a server is protected with, piece by piece."""

import io
import os
import struct
import zlib

import grpc
import numpy as np
import pytest
from PIL import Image

from skinzoo.addresses import is_loopback
from skinzoo.client.security import read_security
from skinzoo.errors import UsageError
from skinzoo.serving.admission import ClientLimit, CountedPool, client_of
from skinzoo.serving.limits import Limits, check_images
from skinzoo.serving.protection import Protection
from skinzoo.serving.status import RpcError
from skinzoo.serving.tensors import to_array
from skinzoo.serving.tls import read_ssl_config
from skinzoo.serving.tokens import Tokens, read_tokens, token_of

TOKEN = "0123456789abcdef"


def png(width, height, *, pixels=b""):
    """A PNG that says it is so large, in a few bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def refused(inputs, **limits):
    with pytest.raises(RpcError) as caught:
        check_images({name: np.array(value, object) for name, value in inputs.items()}, Limits(**limits))
    return caught.value.code


def serialised(file):
    import tensorflow as tf

    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    return tf.train.Example(features=tf.train.Features(feature={"image_bytes": feature})).SerializeToString()


@pytest.mark.parametrize("bomb", [png(50_000, 50_000), png(2**31 - 1, 2**31 - 1), png(80_000_001, 1)])
def test_a_decompression_bomb_is_known_by_its_header(bomb):
    assert len(bomb) < 100
    good = png(4, 4, pixels=b"\0" * 52)
    for inputs in (
        {"image_bytes": [bomb]},
        {"image_bytes": [good, bomb]},
        {"inputs": [serialised(good), serialised(bomb)]},
    ):
        assert refused(inputs) is grpc.StatusCode.RESOURCE_EXHAUSTED
    check_images({"image_bytes": np.array([good], object)}, Limits())


def test_bytes_pixels_and_kind_of_an_image():
    stream = io.BytesIO()
    Image.new("RGB", (40, 30)).save(stream, "JPEG")
    file = stream.getvalue()
    check_images({"image_bytes": np.array([file], object)}, Limits(image_bytes=len(file), pixels=1200))
    assert refused({"image_bytes": [file]}, image_bytes=len(file) - 1) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused({"image_bytes": [file]}, pixels=1199) is grpc.StatusCode.RESOURCE_EXHAUSTED
    for damaged in (b"", b"no image", file[:10], png(4, 4)[:20]):
        assert refused({"image_bytes": [damaged]}) is grpc.StatusCode.INVALID_ARGUMENT
    assert refused({"inputs": [b"\xff\xff\xff"]}) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_few_bytes_cannot_ask_for_gigabytes_of_repeated_values():
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    def tensor(dtype, count, **values):
        proto = TensorProto(dtype=dtype.as_datatype_enum, **values)
        proto.tensor_shape.dim.add().size = count
        return proto

    assert to_array(tensor(tf.float32, 1000, float_val=[2.0])).tolist() == [2.0] * 1000
    for proto in (
        tensor(tf.float32, 20_000_000, float_val=[1.0]),
        tensor(tf.float32, 20_000_000),
        tensor(tf.string, 100_000, string_val=[b"x" * 100_000]),
        tensor(tf.string, 2**40, string_val=[b""]),
    ):
        with pytest.raises(ValueError, match="too large"):
            to_array(proto)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("", "empty"),
        ("\n  \n", "empty"),
        (f"{TOKEN}\nsecret-short\n", "line 2"),
        (f"{TOKEN} with spaces in it", "line 1"),
        ("pass\u00e9-and-longer-than-16", "line 1"),
    ],
)
def test_token_files_that_cannot_be_used(tmp_path, content, phrase):
    path = tmp_path / "tokens"
    path.write_text(content)
    with pytest.raises(UsageError, match=phrase) as caught:
        read_tokens(path)
    assert not [line for line in content.splitlines() if line.strip() and line in str(caught.value)]
    path.write_bytes(b"\xff\xfe" + TOKEN.encode())
    with pytest.raises(UsageError, match="must be text"):
        read_tokens(path)
    with pytest.raises(UsageError, match="readable"):
        read_tokens(tmp_path / "absent")


def test_tokens_are_accepted_as_rfc_6750_writes_them(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"\n{TOKEN}\n  fedcba9876543210==  \n")
    tokens = read_tokens(path)
    for accepted in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", b"BEARER fedcba9876543210=="):
        assert tokens.accepts(accepted)
    for refused_one in (None, "", "Bearer", "Bearer ", TOKEN, f"Bearer {TOKEN}x", b"Bearer \xff\xfe"):
        assert not tokens.accepts(refused_one)
    assert not Tokens([]).accepts("Bearer ")
    assert TOKEN not in repr(vars(tokens))
    assert token_of("Basic abc") == ""


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("", "server_key"),
        ('server_key: "secret-key-text"', "server_cert"),
        ('server_key: "secret-key-text" server_cert: "x"', "as PEM"),
        ('server_key: "secret-key-text', "wrong in line 1"),
        ('private_key: "secret-key-text"', "wrong in line 1"),
        ("server_key: secret-key-text", "wrong in line 1"),
    ],
)
def test_ssl_configs_that_cannot_be_used_are_refused_without_showing_the_key(tmp_path, content, phrase):
    path = tmp_path / "ssl.config"
    path.write_text(content)
    with pytest.raises(UsageError, match=phrase) as caught:
        read_ssl_config(path)
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret-key" not in str(error)
        error = error.__cause__
    path.write_bytes(b"\xffsecret-key")
    with pytest.raises(UsageError, match="no UTF-8"):
        read_ssl_config(path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("no-such-host.invalid", False), ("", False),
    ],
)  # fmt: skip
def test_which_hosts_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected


def test_limits_that_are_none_are_refused():
    for wrong in ({"image_bytes": 0}, {"pixels": 0}, {"cases": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            Limits(**wrong)
    for wrong in (0, 2**31):
        with pytest.raises(UsageError, match="message_bytes"):
            Protection(message_bytes=wrong)
    assert (Protection().most_calls(128), Protection(waiting=0).most_calls(8)) == (192, 8)


def test_a_client_is_known_by_certificate_then_token_then_address():
    with_token = client_of("ipv4:10.0.0.1:5000", f"Bearer {TOKEN}")
    assert client_of("ipv4:10.0.0.1:5000", None) == client_of("ipv4:10.0.0.1:6000", None) == "ipv4:10.0.0.1"
    assert client_of("ipv4:10.0.0.2:6000", f"Bearer {TOKEN}") == with_token
    assert TOKEN not in with_token
    assert client_of("ipv4:10.0.0.1:5000", f"Bearer {TOKEN}", b"ward 3") != with_token
    assert client_of("unix:", None) == "unix:"


def test_a_client_limit_gives_back_what_was_held():
    limit = ClientLimit(1)
    for _ in range(3):
        with limit.holding("a"), limit.holding("b"):
            with pytest.raises(RpcError) as caught, limit.holding("a"):
                pass
            assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not limit._under_way


def test_a_pool_counts_calls_until_they_end():
    with CountedPool(1) as pool:
        first = pool.submit(lambda: pool.calls)
        assert first.result(60) >= 1
        broken = pool.submit(lambda: 1 / 0)
        assert isinstance(broken.exception(60), ZeroDivisionError)
    assert pool.calls == 0
    with pytest.raises(RuntimeError):
        pool.submit(print)
    assert pool.calls == 0


def test_a_client_reads_its_token_from_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINZOO_TOKEN", TOKEN)
    found = read_security()
    assert (found.token, found.credentials(), TOKEN in repr(found)) == (TOKEN, None, False)
    path = tmp_path / "token"
    path.write_text("another-token\n")
    assert read_security(token_file=path).token == "another-token"
    path.write_text("")
    with pytest.raises(UsageError, match="empty"):
        read_security(token_file=path)
    monkeypatch.setenv("SKINZOO_TOKEN", "two words")
    with pytest.raises(UsageError, match="visible ASCII") as caught:
        read_security()
    assert "two words" not in str(caught.value)


def test_a_client_says_which_file_is_no_certificate(tmp_path, monkeypatch):
    monkeypatch.delenv("SKINZOO_TOKEN", raising=False)
    path = tmp_path / "ca.crt"
    path.write_text("no certificate")
    with pytest.raises(UsageError, match="--ca"):
        read_security(ca=path)
    with pytest.raises(UsageError, match=f"readable.*{os.sep}absent"):
        read_security(ca=tmp_path / "absent")
    path.write_text("-----BEGIN CERTIFICATE-----")
    with pytest.raises(UsageError, match="--key"):
        read_security(cert=path)
    assert read_security(ca=path).credentials() is not None
    assert read_security(tls=True).credentials() is not None
