"""Parts `engines` and `peers` of serve.py: other engines, and other servers of the same SavedModel.

engines: `skinzoo serve` with TensorFlow, with OpenVINO in float32 and in bfloat16, over gRPC.

    python benchmarks/serve.py EXPORT --part engines

peers: BentoML, LitServe and Ray Serve (extra `bench`) answer `serving_default` of the same SavedModel with
their own batching, up to 32 images; skinzoo answers over gRPC and over REST. Ray Serve gets the file as
the body over HTTP, BentoML and LitServe base64 in JSON as skinzoo's REST does.

    python benchmarks/serve.py EXPORT --part peers

One contender runs at a time, asked by 1, 8 and 32 asyncio callers in one process of their own, each with one
JPEG a request. Images per second are medians of rounds; latencies are quantiles of all requests.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLERS = (1, 8, 32)
PEERS = Path(__file__).resolve().parent / "peers"
_START_SECONDS = 600.0


@dataclass(frozen=True)
class Contender:
    """What is measured.

    Args:
        name: Its name in the results.
        protocol: `grpc`, `rest`, `body`, `json` or `list`.
        options: For `skinzoo serve`; unused for a peer.
        peer: File of a peer in benchmarks/peers; empty for skinzoo.
        module: What must be installed.
    """

    name: str
    protocol: str = "grpc"
    options: tuple[str, ...] = ()
    peer: str = ""
    module: str = "skinzoo"


ENGINES = (
    Contender("tensorflow", options=("--engine=tensorflow",)),
    Contender("openvino", options=("--engine=openvino",), module="openvino"),
    Contender(
        "openvino bfloat16",
        options=("--engine=openvino", "--mixed-precision=bfloat16"),
        module="openvino",
    ),
)
ALL_PEERS = (
    Contender("skinzoo grpc"),
    Contender("skinzoo rest", "rest"),
    Contender("bentoml", "list", peer="bento_service.py", module="bentoml"),
    Contender("litserve", "json", peer="lit_server.py", module="litserve"),
    Contender("ray serve", "body", peer="ray_app.py", module="ray"),
)


def compare(export: Path, part: str, rounds: int, seconds: float, options: list[str]) -> dict[str, Any]:
    """Return throughput and latency of every contender, with ratios.

    Args:
        export: The version folder.
        part: `engines` or `peers`.
        rounds: How often each is measured.
        seconds: Length of a measurement.
        options: Passed on to every `skinzoo serve`.
    """
    contenders = [one for one in (ENGINES if part == "engines" else ALL_PEERS) if _installed(one)]
    found: dict[str, dict[int, list[dict[str, Any]]]] = {
        one.name: {count: [] for count in CALLERS} for one in contenders
    }
    ready = {}
    with tempfile.TemporaryDirectory() as folder:
        payloads = Path(folder)
        _write_payloads(payloads, export.resolve().parent.name)
        for number in range(rounds):
            for one in contenders:
                # One at a time, so that none takes the processor from another.
                with started(one, export, options, payloads) as (url, took):
                    ready[one.name] = round(took, 1)
                    for count in CALLERS:
                        found[one.name][count].append(_asked(one, url, payloads, count, seconds))
                print(f"round {number + 1}: {one.name}", file=sys.stderr)
    results: dict[str, Any] = {"model": export.resolve().parent.name, "rounds": rounds, "seconds": seconds}
    results["seconds_to_ready"] = ready
    results["callers"] = {str(count): {name: _summary(runs[count]) for name, runs in found.items()}
                          for count in CALLERS}  # fmt: skip
    results["ratios"] = _ratios(results["callers"], part)
    return results


def _installed(one: Contender) -> bool:
    if importlib.util.find_spec(one.module) is not None:
        return True
    print(f"{one.name}: not installed, left out", file=sys.stderr)
    return False


def _summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    milliseconds = sorted(ms for run in runs for ms in run["ms"])

    def quantile(share: float) -> float:
        if not milliseconds:
            return float("nan")
        return round(milliseconds[min(int(share * len(milliseconds)), len(milliseconds) - 1)], 2)

    return {
        "images_per_second": round(statistics.median(run["per_second"] for run in runs), 1),
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
        "failed": sum(run["failed"] for run in runs),
    }


def _ratios(callers: dict[str, dict[str, dict[str, float]]], part: str) -> dict[str, Any]:
    """Return throughput against the first contender's, or the first one's against each peer's."""
    found: dict[str, Any] = {}
    for count, rows in callers.items():
        first, *others = rows
        for name in others:
            over, under = (name, first) if part == "engines" else (first, name)
            found.setdefault(f"{over} / {under}", {})[count] = {
                "throughput": round(rows[over]["images_per_second"] / rows[under]["images_per_second"], 2),
                "p99": round(rows[over]["p99_ms"] / rows[under]["p99_ms"], 2),
            }
    return found


def _write_payloads(folder: Path, model: str) -> None:
    """Write the requests of every protocol, so that callers need nothing but to send them."""
    from serve import _request, photographs

    for number, image in enumerate(photographs()):
        encoded = base64.b64encode(image).decode()
        instance = {
            "image_bytes": {"b64": encoded},
            "age": 50.0,
            "sex": "female",
            "localization": "back",
        }
        rows = {
            "body": image,
            "json": json.dumps({"image": encoded}).encode(),
            "list": json.dumps({"images": [encoded]}).encode(),
            "grpc": _request(model, image),
            "rest": json.dumps({"instances": [instance]}).encode(),
        }
        for protocol, payload in rows.items():
            (folder / f"{protocol}-{number:02}").write_bytes(payload)


@contextmanager
def started(one: Contender, export: Path, options: list[str], payloads: Path) -> Iterator[tuple[str, float]]:
    """Run a contender; yield where it is asked and the seconds until it answered."""
    port = _free_port()
    address = f"127.0.0.1:{port}"
    if one.peer:
        words = [sys.executable, str(PEERS / one.peer), str(export.resolve()), str(port)]
    else:
        words = [sys.executable, "-m", "skinzoo", "serve", str(export), *one.options, *options]
        words += ["--port=0", f"--rest-api-port={port}"] if one.protocol == "rest" else [f"--port={port}"]
    url = {
        "grpc": address,
        "rest": f"http://{address}/v1/models/{export.resolve().parent.name}:predict",
        "body": f"http://{address}/classify",
        "json": f"http://{address}/classify",
        "list": f"http://{address}/classify",
    }[one.protocol]
    begin = time.perf_counter()
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=None if one.peer else subprocess.DEVNULL,
        env=os.environ | {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"},
        start_new_session=True,
    )
    try:
        _wait(process, one, url, payloads)
        yield url, time.perf_counter() - begin
    finally:
        # Peers have processes of their own, which are all of this one's session.
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
        # Whatever is left of it must not share the processor with the next one.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], one: Contender, url: str, payloads: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{one.name} ended with {process.returncode} before it answered.")
        if _asked(one, url, payloads, 1, 0.1)["failed"]:
            time.sleep(1)
            continue
        # What first batches cost is no part of the comparison.
        _asked(one, url, payloads, max(CALLERS), 2.0)
        return
    raise SystemExit(f"{one.name} did not answer in {_START_SECONDS:.0f} seconds.")


def _asked(one: Contender, url: str, payloads: Path, count: int, seconds: float) -> dict[str, Any]:
    """Ask from a process of its own, so that callers and server share nothing but the processor."""
    words = [sys.executable, __file__, one.protocol, url, str(payloads), str(count), str(seconds)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Callers:
    """Some callers, each of which asks again when it is answered.

    Args:
        payloads: What is sent.
        count: How many there are.
        seconds: How long they ask.
    """

    def __init__(self, payloads: list[bytes], count: int, seconds: float) -> None:
        self._payloads = payloads
        self._count = count
        self._seconds = seconds
        self._milliseconds: list[float] = []
        self._failed = 0

    async def ask(self, call: Callable[[bytes], Awaitable[Any]]) -> dict[str, Any]:
        """Ask, and return what was measured."""
        begin = time.perf_counter()
        await asyncio.gather(*(self._caller(call, number, begin) for number in range(self._count)))
        took = time.perf_counter() - begin
        return {
            "per_second": len(self._milliseconds) / took,
            "ms": self._milliseconds,
            "failed": self._failed,
        }

    async def _caller(self, call: Callable[[bytes], Awaitable[Any]], number: int, begin: float) -> None:
        payload = self._payloads[number % len(self._payloads)]
        while time.perf_counter() < begin + self._seconds:
            start = time.perf_counter()
            try:
                await call(payload)
            except Exception:
                self._failed += 1
                await asyncio.sleep(0.05)
            else:
                self._milliseconds.append(1000 * (time.perf_counter() - start))


async def _ask(protocol: str, url: str, callers: Callers) -> dict[str, Any]:
    if protocol == "grpc":
        from grpc import aio

        async with aio.insecure_channel(url) as channel:
            method = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            return await callers.ask(lambda payload: method(payload, timeout=300))
    import aiohttp

    kind = "image/jpeg" if protocol == "body" else "application/json"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": kind}) as session:

        async def post(payload: bytes) -> None:
            async with session.post(url, data=payload) as answer:
                answer.raise_for_status()
                await answer.read()

        return await callers.ask(post)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Be the callers."""
    protocol, url, folder, count, seconds = sys.argv[1:]
    payloads = [path.read_bytes() for path in sorted(Path(folder).glob(f"{protocol}-*"))]
    print(json.dumps(asyncio.run(_ask(protocol, url, Callers(payloads, int(count), float(seconds))))))


if __name__ == "__main__":
    main()
