"""Downloads against a server on this machine that breaks off, lies and forgets."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skinzoo.data.download import ATTEMPTS, RECORD, download_dataset, download_folder
from skinzoo.data.unpack import unpack
from skinzoo.errors import DataError, ServingError, UsageError
from skinzoo.specs import DatasetSpec, RemoteFile, Source

pytest.importorskip("pooch", reason="the extra 'download' is not installed")

CONTENT = bytes(range(256)) * 4096
SUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; `break_after` cuts that many answers short, `ranges` and `tags` can be switched off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/images.bin": CONTENT}
        self.breaks = []
        self.statuses = []
        self.ranges = True
        self.tag = '"v1"'
        self.requests = []

    def address(self, name="images.bin"):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.statuses:
            self.send_response(server.statuses.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        whole = server.files[self.path]
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start:
            if start >= len(whole):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        body = whole[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        if server.breaks:
            body = body[: server.breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def spec_of(*files):
    return DatasetSpec(
        name="local",
        title="A dataset on this machine",
        read=lambda request: None,
        classes=None,
        recognises=lambda path: False,
        licence="CC BY-NC 4.0",
        files=files,
        source=Source(title="t", authors="a", url="https://example.org/data"),
    )


def one(server, *, checksum=SUM, **fields):
    return spec_of(RemoteFile(name="images.bin", url=server.address(), checksum=checksum, **fields))


def fetch(spec, folder, **options):
    return download_dataset(spec, to=folder, accept_licence=True, pause=0.01, **options)


def test_a_file_arrives_checked_and_is_not_fetched_again(server, tmp_path):
    seen = []
    done = fetch(one(server), tmp_path, progress=lambda name, have, total: seen.append((name, have, total)))
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert [(f.action, f.verified) for f in done.files] == [("downloaded", True)]
    assert seen[0] == ("images.bin", 0, len(CONTENT)) and seen[-1] == (
        "images.bin",
        len(CONTENT),
        len(CONTENT),
    )
    again = fetch(one(server), tmp_path)
    assert [f.action for f in again.files] == ["present"]
    assert len(server.requests) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.bin"]


def test_a_broken_transfer_continues_where_it_broke_off(server, tmp_path):
    server.breaks = [262_144, 131_072]
    fetch(one(server), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=262144-", "bytes=393216-"]


def test_what_arrived_is_kept_for_the_next_run(server, tmp_path):
    server.breaks = [262_144] + [0] * 20
    with pytest.raises(ServingError) as caught:
        fetch(one(server), tmp_path)
    assert "262,144 bytes that arrived are kept" in caught.value.hint
    server.breaks = []
    server.requests.clear()
    fetch(one(server), tmp_path)
    assert server.requests == ["bytes=262144-"]
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_whole(server, tmp_path):
    server.breaks = [262_144] + [0] * 20
    with pytest.raises(ServingError):
        fetch(one(server), tmp_path)
    new = CONTENT[::-1]
    server.files["/images.bin"], server.tag, server.breaks = new, '"v2"', []
    fetch(one(server, checksum="sha256:" + hashlib.sha256(new).hexdigest()), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == new


@pytest.mark.parametrize("change", [{"ranges": False}, {"tag": ""}, {"tag": 'W/"weak"'}])
def test_a_server_without_usable_ranges_starts_over(server, tmp_path, change):
    for name, value in change.items():
        setattr(server, name, value)
    server.breaks = [262_144]
    fetch(one(server), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_over(server, tmp_path):
    server.breaks = [262_144] + [0] * 20
    with pytest.raises(ServingError):
        fetch(one(server), tmp_path)
    server.breaks = []
    with (tmp_path / "images.bin.part").open("ab") as part:
        part.write(CONTENT)
    fetch(one(server), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_deleted(server, tmp_path):
    server.files["/images.bin"] = CONTENT[:-1] + b"!"
    with pytest.raises(DataError) as caught:
        fetch(one(server), tmp_path)
    assert "images.bin" in caught.value.message and server.address() in caught.value.message
    assert str(tmp_path / "images.bin") in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_file_than_announced_is_not_taken(server, tmp_path):
    server.breaks = [262_144] + [0] * 20
    with pytest.raises(ServingError):
        fetch(one(server, checksum=""), tmp_path)
    assert not (tmp_path / "images.bin").exists()


def test_a_missing_file_is_not_asked_for_twice(server, tmp_path):
    server.files.clear()
    with pytest.raises(ServingError, match="HTTP status 404"):
        fetch(one(server), tmp_path)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    fetch(one(server), tmp_path)
    assert len(server.requests) == 3


def test_attempts_end(server, tmp_path):
    server.statuses = [503] * 50
    with pytest.raises(ServingError, match="HTTP status 503"):
        fetch(one(server), tmp_path)
    assert len(server.requests) == ATTEMPTS


def test_offline_names_file_address_and_place(server, tmp_path):
    spec = one(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(ServingError) as caught:
        fetch(spec, tmp_path)
    with pytest.raises(ServingError):
        fetch(spec, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert "images.bin" in caught.value.message and spec.files[0].url in caught.value.message
    assert "refused" in caught.value.message
    assert str(tmp_path / "images.bin") in caught.value.hint


def test_a_file_put_there_by_hand_is_taken(server, tmp_path):
    (tmp_path / "images.bin").write_bytes(CONTENT)
    done = fetch(one(server), tmp_path)
    assert done.files[0].action == "present" and server.requests == []


def test_the_licence_must_be_accepted(server, tmp_path):
    with pytest.raises(UsageError, match=r"CC BY-NC 4\.0"):
        download_dataset(one(server), to=tmp_path, accept_licence=False)
    assert server.requests == []


def test_patterns_choose_files(server, tmp_path):
    files = [RemoteFile(name=name, url=server.address()) for name in ("a.csv", "b.csv", "c.zip")]
    done = fetch(spec_of(*files), tmp_path, only=["*.csv"])
    assert [f.name for f in done.files] == ["a.csv", "b.csv"]
    assert [f.verified for f in done.files] == [False, False]
    with pytest.raises(UsageError, match=r"a\.csv, b\.csv, c\.zip"):
        fetch(spec_of(*files), tmp_path, only=["d.csv"])


def test_a_dataset_without_files_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        fetch(spec_of(), tmp_path)
    assert "https://example.org/data" in caught.value.hint
    assert str(download_folder(spec_of())) in caught.value.hint


def test_too_little_room_is_said_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(DataError, match="GB free"):
        fetch(one(server, size=10**15), tmp_path)
    assert server.requests == []


def test_a_folder_that_cannot_be_made_is_an_error(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="must be writable"):
        fetch(one(server), tmp_path / "file" / "sub")


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_is_unpacked_once(server, tmp_path):
    packed = zipped({"a.jpg": b"1", "b.jpg": b"2", "__MACOSX/a.jpg": b"x"})
    server.files["/images.zip"] = packed
    file = RemoteFile(
        name="images.zip",
        url=server.address("images.zip"),
        checksum="sha256:" + hashlib.sha256(packed).hexdigest(),
        unpack=True,
    )
    done = fetch(spec_of(file), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", RECORD]
    assert sorted(p.name for p in done.files[0].path.iterdir()) == ["a.jpg", "b.jpg"]
    again = fetch(spec_of(file), tmp_path)
    assert again.files[0].action == "present" and len(server.requests) == 1
    kept = fetch(spec_of(file), tmp_path / "other", keep_archives=True)
    assert (tmp_path / "other" / "images.zip").exists() and kept.files[0].path.is_dir()


def write(path, members):
    path.write_bytes(zipped(members))
    return path


def test_an_archive_of_one_folder_gives_that_folder(tmp_path):
    archive = write(tmp_path / "x.zip", {"ISIC/a.jpg": b"1", "ISIC/sub/b.jpg": b"2"})
    assert unpack(archive, tmp_path) == tmp_path / "ISIC"
    assert (tmp_path / "ISIC" / "sub" / "b.jpg").read_bytes() == b"2"


def test_an_archive_of_a_file_with_its_own_name(tmp_path):
    assert unpack(write(tmp_path / "x.zip", {"x": b"1", "y": b"2"}), tmp_path) == tmp_path / "x"
    assert (tmp_path / "x" / "x").read_bytes() == b"1"


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:/evil.jpg"]
)
def test_nothing_lands_outside(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(DataError, match="plain files inside"):
        unpack(write(folder / "x.zip", {"good.jpg": b"1", name: b"2"}), folder)
    assert [p.name for p in folder.iterdir()] == ["x.zip"]
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="a link"):
        unpack(tmp_path / "x.zip", tmp_path)


def test_a_bomb_is_refused(tmp_path):
    archive = write(tmp_path / "x.zip", {"zeros": bytes(50_000_000)})
    with pytest.raises(DataError, match="at most 200 times"):
        unpack(archive, tmp_path)


# Ids, since an archive holds the time it was made at, which differs from one test process to the next.
@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>", zipped({"a": bytes(9000)})[:60]],
    ids=["empty", "page", "cut short"],
)
def test_a_file_that_is_no_archive(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match="whole ZIP file"):
        unpack(tmp_path / "x.zip", tmp_path)


def test_damaged_content_leaves_nothing_behind(tmp_path):
    packed = bytearray(zipped({"a.jpg": bytes(range(256)) * 20, "b.jpg": b"2"}))
    packed[60] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(packed)
    with pytest.raises(DataError):
        unpack(tmp_path / "x.zip", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


def test_a_folder_that_is_there(tmp_path):
    archive = write(tmp_path / "x.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    unpack(archive, tmp_path)
    assert unpack(archive, tmp_path) == tmp_path / "x"
    (tmp_path / "x" / "a.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="must not exist before"):
        unpack(archive, tmp_path)
    assert (tmp_path / "x" / "a.jpg").read_bytes() == b"mine"
