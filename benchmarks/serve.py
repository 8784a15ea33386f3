"""How much the server costs beside the bare SavedModel: throughput, latency, first request, memory.

    python benchmarks/serve.py EXPORT            # a version folder that `skinzoo export` wrote
    python benchmarks/serve.py EXPORT --rounds 5 --seconds 20

Three processes take part: one that calls `serving_default` of the SavedModel as `tf.saved_model.load` gives
it, the server as `skinzoo serve` starts it, and one that calls the server, on photographs of drawn lesions of
600 x 450 pixels with metadata. In-process and served measurements take turns; ratios are of medians.

* Throughput of 32 concurrent callers with one image each, against batches of 32 in process: at least 0.9.
* Median latency of a single caller, less that of the same call in process: at most 2 ms.
* First request after ready, against that median: at most 2.
* Most memory that each process took.

Two more parts, `--part overload` and `--part soak`, are described in serve_load.py, and
`--part engines` and `--part peers` in serve_compare.py.

Callers share the processor with the server, so their processor time is given beside. The table is printed and
written to docs/results/benchmarks/serve.json.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = CALLERS = 32
WIDTH, HEIGHT = 600, 450
PACKAGES = (
    "skinzoo", "tensorflow", "openvino", "grpcio", "protobuf", "numpy", "bentoml", "litserve", "ray"
)  # fmt: skip
METHOD = "/tensorflow.serving.PredictionService/Predict"


def photographs() -> list[bytes]:
    import numpy as np
    from PIL import Image

    from skinzoo.data.lesion_camera import photograph
    from skinzoo.data.lesion_painter import paint_lesion
    from skinzoo.data.sample import CLASSES

    found = []
    for number in range(BATCH):
        rng = np.random.default_rng(number)
        canvas = paint_lesion(CLASSES[number % len(CLASSES)], rng, resolution=WIDTH)
        stream = io.BytesIO()
        pixels = photograph(canvas, rng, width=WIDTH, height=HEIGHT)
        Image.fromarray(pixels).save(stream, "JPEG", quality=92)
        found.append(stream.getvalue())
    return found


def in_process(export: Path) -> None:
    """Answer lines on stdin with measurements on stdout, in a process of its own."""
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(str(export))
    call = model.signatures["serving_default"]
    images = photographs()

    def ask(count: int) -> None:
        call(
            image_bytes=tf.constant(images[:count]),
            age=tf.constant(np.full(count, 50, np.float32)),
            sex=tf.constant(["female"] * count),
            localization=tf.constant(["back"] * count),
        )["probabilities"].numpy()

    for _ in range(5):
        ask(1)
        ask(BATCH)
    for line in sys.stdin:
        what, amount = line.split()
        if what == "throughput":
            done, busy, start = 0, time.process_time(), time.perf_counter()
            while time.perf_counter() - start < float(amount):
                ask(BATCH)
                done += BATCH
            seconds = time.perf_counter() - start
            answer = {"per_second": done / seconds, "cpu_ms": 1000 * (time.process_time() - busy) / done}
        else:
            answer = {"ms": [_timed(lambda: ask(1)) for _ in range(int(amount))]}
        answer["peak_mib"] = _own_peak()
        print(json.dumps(answer), flush=True)


def callers(address: str, model: str) -> None:
    """Call the server in a process of its own, with bytes made beforehand and without TensorFlow's stubs."""
    import grpc
    from grpc import aio

    requests = [_request(model, image) for image in photographs()]

    with grpc.insecure_channel(address) as channel:
        one = channel.unary_unary(METHOD)
        grpc.channel_ready_future(channel).result(timeout=300)
        for line in sys.stdin:
            what, amount = line.split()
            if what == "throughput":
                answer = asyncio.run(_many(aio, address, requests, float(amount)))
            else:
                answer = {"ms": [_timed(lambda: one(requests[0], timeout=300)) for _ in range(int(amount))]}
            answer["peak_mib"] = _own_peak()
            print(json.dumps(answer), flush=True)


async def _many(aio: Any, address: str, requests: list[bytes], seconds: float) -> dict[str, float]:
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        end = time.perf_counter() + seconds

        async def caller(number: int) -> int:
            done = 0
            while time.perf_counter() < end:
                await call(requests[number], timeout=300)
                done += 1
            return done

        busy, start = time.process_time(), time.perf_counter()
        done = sum(await asyncio.gather(*(caller(number) for number in range(CALLERS))))
        seconds = time.perf_counter() - start
    return {"per_second": done / seconds, "cpu_ms": 1000 * (time.process_time() - busy) / done}


def _request(model: str, image: bytes) -> bytes:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest(output_filter=["probabilities"])
    request.model_spec.name = model
    inputs = {"image_bytes": [image], "age": [50.0], "sex": ["female"], "localization": ["back"]}
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request.SerializeToString()


def _timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def _own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Process:
    """A measuring process that answers a line with a line."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str, amount: float) -> dict[str, Any]:
        """Return what it measures."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {amount}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Close its input, at which it ends."""
        self._process.communicate()


class Served:
    """The server, as a user starts it."""

    def __init__(self, export: Path, options: list[str]) -> None:
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "skinzoo", "serve", str(export), "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.match(r"Ready: gRPC on (\S+)\. ", line):
                self.address = found[1]
                break
        else:
            raise SystemExit("The server did not start.")
        self.seconds_to_ready = time.perf_counter() - start

    @property
    def pid(self) -> int:
        """Return its process."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """Return the most memory that it took."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def end(self) -> None:
        """Ask it to stop."""
        self._process.terminate()
        self._process.communicate()


def measure(export: Path, rounds: int, seconds: float, calls: int, options: list[str]) -> dict[str, Any]:
    model = export.resolve().parent.name
    bare = Process("--in-process", str(export))
    bare.ask("latency", 5)
    served = Served(export, options)
    client = Process("--callers", served.address, "--model", model)
    try:
        first = client.ask("latency", 1)["ms"][0]
        throughput: dict[str, list[dict[str, float]]] = {"bare": [], "served": []}
        latency: dict[str, list[float]] = {"bare": [], "served": []}
        server_cpu = []
        for _ in range(rounds):
            throughput["bare"].append(bare.ask("throughput", seconds))
            before = served.cpu_seconds()
            found = client.ask("throughput", seconds)
            server_cpu.append(1000 * (served.cpu_seconds() - before) / (found["per_second"] * seconds))
            throughput["served"].append(found)
            latency["bare"] += bare.ask("latency", calls)["ms"]
            latency["served"] += client.ask("latency", calls)["ms"]
        peak = {
            "server_mib": round(served.peak_mib()),
            "in_process_mib": round(bare.ask("latency", 1)["peak_mib"]),
        }
    finally:
        client.end()
        served.end()
        bare.end()

    def median(values: list[float]) -> float:
        return statistics.median(values)

    per_second = {key: median([one["per_second"] for one in found]) for key, found in throughput.items()}
    ms = {key: median(found) for key, found in latency.items()}
    return {
        "model": model,
        "options": options,
        "rounds": rounds,
        "images_per_second_in_process": round(per_second["bare"], 1),
        "images_per_second_served": round(per_second["served"], 1),
        "throughput_ratio": round(per_second["served"] / per_second["bare"], 3),
        "cpu_ms_per_image_in_process": round(median([one["cpu_ms"] for one in throughput["bare"]]), 2),
        "cpu_ms_per_image_server": round(median(server_cpu), 2),
        "cpu_ms_per_image_callers": round(median([one["cpu_ms"] for one in throughput["served"]]), 2),
        "latency_ms_in_process": round(ms["bare"], 2),
        "latency_ms_served": round(ms["served"], 2),
        "latency_added_ms": round(ms["served"] - ms["bare"], 2),
        "first_request_ms": round(first, 2),
        "first_request_ratio": round(first / ms["served"], 2),
        "seconds_to_ready": round(served.seconds_to_ready, 1),
        "peak_memory": peak,
    }


def loaded(export: Path, part: str, seconds: float, minutes: float, options: list[str]) -> dict[str, Any]:
    import serve_load

    model = export.resolve().parent.name
    if part == "overload":
        options = options or serve_load.LIMITS
    requests = [_request(model, image) for image in photographs()]
    served = Served(export, options)
    try:
        serve_load.ready(served.address)
        if part == "overload":
            found = serve_load.overload(served.address, requests, seconds)
        else:
            found = serve_load.soak(served.address, requests, served.pid, seconds, minutes)
    finally:
        served.end()
    return {"model": model, "options": options, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("export", type=Path, nargs="?", help="version folder of an export")
    parser.add_argument("--part", choices=("cost", "overload", "soak", "engines", "peers"), default="cost")
    parser.add_argument("--minutes", type=float, default=30.0, help="of --part soak")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of throughput")
    parser.add_argument("--calls", type=int, default=100, help="of each measurement of latency")
    parser.add_argument("--option", action="append", default=[], help="passed on to skinzoo serve")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--in-process", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--callers", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        in_process(arguments.in_process)
    elif arguments.callers:
        callers(arguments.callers, arguments.model)
    else:
        from record import RESULTS, write_result

        load = os.getloadavg()[0]
        if arguments.part == "cost":
            results = measure(
                arguments.export, arguments.rounds, arguments.seconds, arguments.calls, arguments.option
            )
        elif arguments.part in ("engines", "peers"):
            from serve_compare import compare

            results = compare(
                arguments.export, arguments.part, arguments.rounds, arguments.seconds, arguments.option
            )
        else:
            results = loaded(
                arguments.export, arguments.part, arguments.seconds, arguments.minutes, arguments.option
            )
        for name, value in results.items():
            print(f"{name:32} {value}")
        name = "serve.json" if arguments.part == "cost" else f"serve-{arguments.part}.json"
        write_result(arguments.out or RESULTS / name, results, packages=PACKAGES, load=load)


if __name__ == "__main__":
    main()
