"""How the server bears more than it can do, and how it is after half an hour near its limit.

    python benchmarks/serve.py EXPORT --part overload
    python benchmarks/serve.py EXPORT --part soak --minutes 30

Capacity is what 32 callers get who each wait for an answer before they ask again; the latencies that they see
are the normal ones.

* overload: requests come at 4 times capacity, whatever becomes of those before them. Answers that come must
  take at most 2 times the normal 99th percentile, refusals must be UNAVAILABLE and quick, and 32 callers get
  their normal throughput as soon as it is over.
* soak: the 32 callers together ask at 80 percent of capacity, each of them only after its answer, so that a
  minute in which the machine is slower than it was when capacity was measured is asked less rather than more.
  No errors; latency, memory and threads of the server, minute by minute.

Callers share the processor with the server. In overload as many calls are let in as there are callers, and a
quarter more may wait; without these options, as in soak, the server lets in 128 and 64, which suits more
callers than 32.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

CALLERS = 32
LIMITS = ["--grpc-max-threads=32", "--max-waiting-calls=8"]
METHOD = "/tensorflow.serving.PredictionService/Predict"
_DEADLINE = 60.0


class Answers:
    """What became of requests: how long each took, by its status."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {}

    def add(self, code: str, seconds: float) -> None:
        """Note one."""
        self.ms.setdefault(code, []).append(1000 * seconds)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many there are of each status."""
        return {code: len(found) for code, found in sorted(self.ms.items())}

    def percentile(self, percent: float, code: str = "OK") -> float | None:
        """Return a percentile of the milliseconds of one status."""
        found = sorted(self.ms.get(code, ()))
        return round(found[min(int(len(found) * percent / 100), len(found) - 1)], 1) if found else None


async def _ask(call: Any, request: bytes, answers: Answers) -> None:
    start = time.perf_counter()
    try:
        await call(request, timeout=_DEADLINE)
        code = "OK"
    except aio.AioRpcError as error:
        code = error.code().name
    answers.add(code, time.perf_counter() - start)


async def closed(address: str, requests: list[bytes], seconds: float) -> tuple[float, Answers]:
    """Let 32 callers ask one question after another; return answers a second, and the answers."""
    answers = Answers()
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        end = time.perf_counter() + seconds

        async def caller(number: int) -> None:
            while time.perf_counter() < end:
                await _ask(call, requests[number % len(requests)], answers)

        start = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        return answers.counts.get("OK", 0) / (time.perf_counter() - start), answers


async def opened(address: str, requests: list[bytes], rate: float, seconds: float) -> tuple[float, Answers]:
    """Ask at a fixed rate; return questions a second that were really asked, and the answers."""
    answers = Answers()
    under_way: set[asyncio.Task[None]] = set()
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        start, asked = time.perf_counter(), 0
        while (now := time.perf_counter() - start) < seconds:
            # A generator that is late catches up, so that the rate holds on average.
            while asked < now * rate:
                task = asyncio.create_task(_ask(call, requests[asked % len(requests)], answers))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                asked += 1
            await asyncio.sleep(min(0.005, 1 / rate))
        asked_per_second = asked / (time.perf_counter() - start)
        await asyncio.gather(*under_way)
    return asked_per_second, answers


async def paced(address: str, requests: list[bytes], rate: float, seconds: float) -> tuple[float, Answers]:
    """Let 32 callers ask at a rate, each after its answer; return questions a second, and the answers."""
    answers = Answers()
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        pause, start = CALLERS / rate, time.perf_counter()

        async def caller(number: int) -> None:
            due = start + pause * number / CALLERS
            while due < start + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await _ask(call, requests[number % len(requests)], answers)
                # Who is late does not catch up.
                due = max(due + pause, time.perf_counter())

        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        return sum(answers.counts.values()) / (time.perf_counter() - start), answers


def overload(address: str, requests: list[bytes], seconds: float) -> dict[str, Any]:
    """Measure before, during and after 4 times the capacity."""
    asyncio.run(closed(address, requests, min(seconds, 5)))
    capacity, normal = asyncio.run(closed(address, requests, seconds))
    asked, during = asyncio.run(opened(address, requests, 4 * capacity, seconds))
    recovered, after = asyncio.run(closed(address, requests, seconds))
    p99, usual = during.percentile(99), normal.percentile(99)
    return {
        "capacity_per_second": round(capacity, 1),
        "normal_p50_ms": normal.percentile(50),
        "normal_p99_ms": usual,
        "overload_asked_per_second": round(asked, 1),
        "overload_codes": during.counts,
        "overload_answered_per_second": round(during.counts.get("OK", 0) / seconds, 1),
        "overload_accepted_p99_ms": p99,
        "overload_accepted_p99_ratio": round(p99 / usual, 2) if p99 and usual else None,
        "overload_refused_p50_ms": during.percentile(50, "UNAVAILABLE"),
        "overload_refused_p99_ms": during.percentile(99, "UNAVAILABLE"),
        "after_codes": after.counts,
        "after_throughput_ratio": round(recovered / capacity, 3),
        "after_p99_ms": after.percentile(99),
    }


def soak(address: str, requests: list[bytes], pid: int, seconds: float, minutes: float) -> dict[str, Any]:
    """Ask at 80 percent of capacity, and look at the server every minute."""
    asyncio.run(closed(address, requests, min(seconds, 5)))
    capacity, _ = asyncio.run(closed(address, requests, max(seconds, 30)))
    rate = 0.8 * capacity
    found: list[dict[str, Any]] = []
    codes: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes
    while (left := end - time.monotonic()) > 1:
        asked, answers = asyncio.run(paced(address, requests, rate, min(60.0, left)))
        codes.update(answers.counts)
        latency = {"p50_ms": answers.percentile(50), "p99_ms": answers.percentile(99)}
        found.append({"asked_per_second": round(asked, 1), **latency, **_of_process(pid)})
        print(f"{len(found):4} {answers.counts} {found[-1]}", flush=True)
    part = max(1, len(found) // 4)
    first, last = found[:part], found[-part:]

    def change(key: str) -> float:
        before = statistics.median(one[key] for one in first)
        return round(statistics.median(one[key] for one in last) / before, 3)

    return {
        "capacity_per_second": round(capacity, 1),
        "asked_per_second": round(rate, 1),
        "minutes": minutes,
        "codes": dict(sorted(codes.items())),
        "error_rate": round(1 - codes["OK"] / max(1, sum(codes.values())), 6),
        "p99_last_quarter_to_first": change("p99_ms"),
        "memory_last_quarter_to_first": change("memory_mib"),
        "threads_last_quarter_to_first": change("threads"),
        "each_minute": found,
    }


def _of_process(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()

    def number(field: str) -> int:
        return int(re.search(rf"{field}:\s+(\d+)", status)[1])  # type: ignore[index]

    return {"memory_mib": round(number("VmRSS") / 1024), "threads": number("Threads")}


def ready(address: str) -> None:
    """Wait until a server answers."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=300)
