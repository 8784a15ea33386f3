"""The client against real servers: both kinds of call, order, restarts, and what is no server."""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest
from typed_servers import Server, models_of

from skinzoo.client import AsyncClient, Case, Client, ClientOptions
from skinzoo.errors import ServingError, UsageError

BY_TWO = ClientOptions(batch=2, in_flight=3)


def mixed(golden):
    """Cases of which every second cannot be used, and words of the errors."""
    good = itertools.cycle(golden.cases)
    bad = [
        (Case(id="junk", image=b"no image"), "of another kind"),
        (Case(id="gone", image="/no/such/image.jpg"), "No such file"),
        # The header is whole, so only the server can tell.
        (Case(id="cut", image=golden.cases[0].image[:-400]), "can be decoded"),
        (Case(id="old", image=golden.cases[0].image, age=130), "within 0..120"),
        (Case(id="term", image=golden.cases[0].image, sex="femal"), "Did you mean"),
    ]
    cases = list(itertools.chain.from_iterable((next(good), case) for case, _ in bad))
    return cases, [words for _, words in bad]


def check_mixed(results, cases, words):
    assert [one.id for one in results] == [one.id for one in cases]
    assert [one.ok for one in results] == [True, False] * (len(cases) // 2)
    for result, expected in zip(results[1::2], words, strict=True):
        assert expected in result.error or "must be one of" in result.error


def gathered(server, golden, call, **options):
    """Return what a call of the client for asyncio gives, as a list."""

    async def carry_out():
        async with AsyncClient(server.address, **options) as client:
            return [one async for one in call(client)]

    return asyncio.run(carry_out())


class TestBlocking:
    def test_golden_cases(self, server, golden):
        with Client(server.address) as client:
            assert client.typed and str(client.model) == "tiny/1"
            assert client.model.classes == golden.classes and client.model.has_attention
            golden.check(client.classify(golden.cases))
            golden.check(list(client.stream(golden.cases)))
        with Client(server.address, model="tiny", version=1, options=BY_TWO) as client:
            golden.check(client.classify(golden.cases))

    def test_bad_cases_fail_alone(self, server, golden):
        cases, words = mixed(golden)
        for options in (BY_TWO, ClientOptions()):
            with Client(server.address, options=options) as client:
                check_mixed(client.classify(cases), cases, words)
                check_mixed(list(client.stream(cases)), cases, words)

    def test_requests_overlap_and_answers_out_of_order_are_put_in_order(self, server, servable, golden):
        servable.most_under_way = 0
        servable.before = lambda number: time.sleep(0.05 * (3 - number % 4))
        with Client(server.address, options=ClientOptions(batch=1, in_flight=4)) as client:
            golden.check(client.classify(golden.cases))
        assert servable.most_under_way > 1

    def test_explain(self, server, golden):
        with Client(server.address) as client:
            found = client.explain(golden.cases[0])
        assert found.overlay_png.startswith(b"\x89PNG") and found.result.ok
        assert len({len(row) for row in found.attention}) == 1

    def test_what_the_cases_raise_is_raised(self, server, golden):
        def cases():
            yield golden.cases[0]
            raise OSError("the disk is gone")

        with Client(server.address) as client:
            for call in (client.classify, lambda c: list(client.stream(c))):
                with pytest.raises(OSError, match="the disk is gone"):
                    call(cases())

    def test_nothing_is_nothing(self, server):
        with Client(server.address) as client:
            assert client.classify([]) == list(client.stream([])) == []


class TestAsyncio:
    def test_golden_cases(self, server, golden):
        golden.check(gathered(server, golden, lambda c: c.classify_many(golden.cases), options=BY_TWO))
        golden.check(gathered(server, golden, lambda c: c.stream(golden.cases)))

    def test_cases_that_come_one_by_one(self, server, golden):
        async def coming():
            for case in golden.cases:
                await asyncio.sleep(0)
                yield case

        golden.check(gathered(server, golden, lambda c: c.classify_many(coming()), options=BY_TWO))
        golden.check(gathered(server, golden, lambda c: c.stream(coming())))

    def test_bad_cases_fail_alone(self, server, golden):
        cases, words = mixed(golden)
        check_mixed(gathered(server, golden, lambda c: c.classify_many(cases)), cases, words)
        check_mixed(gathered(server, golden, lambda c: c.stream(cases)), cases, words)

    def test_explain_and_leaving_early(self, server, golden):
        async def carry_out():
            async with AsyncClient(server.address, options=BY_TWO) as client:
                assert (await client.explain(golden.cases[0])).result.ok
                found = client.classify_many(itertools.cycle(golden.cases))
                first = await anext(found)
                await found.aclose()
                return first

        assert asyncio.run(carry_out()).ok

    def test_what_the_cases_raise_is_raised(self, server, golden):
        def cases():
            yield golden.cases[0]
            raise OSError("the disk is gone")

        for call in (lambda c: c.classify_many(cases()), lambda c: c.stream(cases())):
            with pytest.raises(OSError, match="the disk is gone"):
                gathered(server, golden, call)

    def test_no_server(self, golden):
        with pytest.raises(ServingError, match="must be available"):
            gathered(Nowhere(), golden, lambda c: c.stream(golden.cases))


class Nowhere:
    """An address where nothing listens."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"


class TestRestarts:
    @pytest.mark.parametrize("grace", [0, 10])
    def test_a_batch_outlasts_a_restart(self, servable, golden, grace):
        server = Server(models_of(servable))
        servable.before = lambda number: time.sleep(0.02)
        told = []
        try:
            cases = golden.cases * 6
            with Client(server.address, options=BY_TWO, notify=told.append) as client:
                results = []
                for number, result in enumerate(client.classify_many(cases)):
                    results.append(result)
                    if number == 6:
                        server.stop(grace)
                        threading.Timer(1.0, server.start).start()
                for start in range(0, len(cases), len(golden.cases)):
                    golden.check(results[start : start + len(golden.cases)])
            assert told and "trying again for up to 120 s" in told[0]
        finally:
            server.stop()

    def test_asyncio_too(self, servable, golden):
        server = Server(models_of(servable))

        async def carry_out():
            async with AsyncClient(server.address, options=BY_TWO) as client:
                golden.check(await client.classify(golden.cases))
                await asyncio.to_thread(server.stop)
                threading.Timer(1.0, server.start).start()
                return await client.classify(golden.cases)

        try:
            golden.check(asyncio.run(carry_out()))
        finally:
            server.stop()

    def test_the_budget_ends(self, servable, golden):
        server = Server(models_of(servable))
        with Client(server.address, options=ClientOptions(retry_seconds=1)) as client:
            server.stop()
            begun = time.monotonic()
            with pytest.raises(ServingError, match="must be available"):
                client.classify(golden.cases)
            assert 1 <= time.monotonic() - begun < 20

    def test_waiting_for_a_server_that_is_yet_to_start(self, servable, golden):
        server = Server(models_of(servable))
        server.stop()
        threading.Timer(1.0, server.start).start()
        try:
            with Client(server.address, options=ClientOptions(wait=60)) as client:
                golden.check(client.classify(golden.cases))
        finally:
            server.stop()

    def test_a_closed_client_waits_no_longer(self, servable, golden):
        server = Server(models_of(servable))
        client = Client(server.address)
        server.stop()
        threading.Timer(0.5, client.close).start()
        begun = time.monotonic()
        # A closed channel is an error of its own kind.
        with pytest.raises((ServingError, ValueError)):
            client.classify(golden.cases)
        assert time.monotonic() - begun < 30


class TestWhatIsNoServer:
    def refused(self, address, words, error=ServingError, **options):
        with pytest.raises(error, match=words) as caught, Client(address, **options):
            pass
        return caught.value

    def test_nothing_listens(self):
        begun = time.monotonic()
        found = self.refused(Nowhere().address, "Connection refused")
        assert found.exit_code == 6 and "skinzoo serve" in found.hint
        assert time.monotonic() - begun < 20

    def test_a_web_server(self):
        from http.server import BaseHTTPRequestHandler, HTTPServer

        web = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            found = self.refused(f"127.0.0.1:{web.server_port}", "must be a gRPC port")
        finally:
            web.shutdown()
            thread.join()
            web.server_close()
        assert "8501" in found.hint

    def test_another_grpc_server(self):
        from concurrent.futures import ThreadPoolExecutor

        other = grpc.server(ThreadPoolExecutor(1))
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        try:
            for options in (ClientOptions(), ClientOptions(api="typed")):
                self.refused(f"127.0.0.1:{port}", "which is neither", options=options, model="tiny")
            self.refused(f"127.0.0.1:{port}", "`model` must be given", error=UsageError)
        finally:
            other.stop(None).wait()

    def test_a_server_that_never_answers(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            self.refused(address, "within 1 s|a gRPC port", options=ClientOptions(timeout=1))

    def test_a_deadline_of_a_millisecond(self, server, golden):
        options = ClientOptions(timeout=0.001)
        with (
            pytest.raises(ServingError, match=r"within 0\.001 s") as caught,
            Client(server.address, options=options) as client,
        ):
            client.classify(golden.cases)
        assert "--timeout" in caught.value.hint

    def test_unknown_models(self, server):
        self.refused(server.address, "Latest.other", model="other")
        self.refused(server.address, "Specific.tiny, 7", model="tiny", version=7)


CHILD = """
import json, sys, time
begun = time.perf_counter()
import skinzoo.client
seconds = time.perf_counter() - begun
from pathlib import Path
from typed_golden import golden
found = golden(Path(sys.argv[2]))
with skinzoo.client.Client(sys.argv[1]) as client:
    results = client.classify(found)
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "pandas", "numpy"})
json.dump(
    {"rows": [list(one.probabilities) for one in results], "heavy": heavy, "seconds": seconds}, sys.stdout
)
"""


def test_a_client_needs_no_tensorflow(server, golden, tiny_export, capsys):
    script = CHILD.replace("from typed_golden import golden\n", GOLDEN_OF)
    done = subprocess.run(
        [sys.executable, "-c", script, server.address, str(tiny_export)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    for row, expected in zip(found["rows"], golden.probabilities, strict=True):
        assert max(abs(a - b) for a, b in zip(row, expected, strict=True)) < 1e-5
    with capsys.disabled():
        sys.stdout.write(f"\nimport skinzoo.client: {found['seconds']:.2f} s\n")


GOLDEN_OF = """
import base64
def golden(path):
    cases = json.loads((path / "assets.extra" / "skinzoo_golden.json").read_text())["cases"]
    return [
        skinzoo.client.Case(
            id=c["id"], image=base64.b64decode(c["image"]), age=c["age"], sex=c["sex"],
            localization=c["localization"],
        )
        for c in cases
    ]
"""
