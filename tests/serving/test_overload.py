"""More requests than a server can answer: it says so at once, and is itself again when they stop.

How long answers take meanwhile is measured by `benchmarks/serve.py --part overload`.
"""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from calls import predict, spec
from processes import serving
from typed_servers import Golden

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import serve_load

SECONDS = 6


@pytest.mark.slow
def test_four_times_the_capacity_is_refused_at_once_and_leaves_nothing_behind(tiny_export, tmp_path):
    golden = Golden(tiny_export)
    requests = [
        predict(spec("tiny", signature="image_only"), {"image_bytes": [case.image]}).SerializeToString()
        for case in golden.cases
    ]
    with serving(tiny_export.parent, *serve_load.LIMITS, home=tmp_path) as (process, address, _):

        def threads():
            return int(re.search(r"Threads:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])

        asyncio.run(serve_load.closed(address, requests, 2))
        capacity, normal = asyncio.run(serve_load.closed(address, requests, SECONDS))
        assert set(normal.counts) == {"OK"}
        before = threads()
        _, during = asyncio.run(serve_load.opened(address, requests, 4 * capacity, SECONDS))
        assert set(during.counts) == {"OK", "UNAVAILABLE"}, during.counts
        # What is accepted goes on being answered, and a refusal waits for none of it.
        assert during.counts["OK"] > 0.3 * capacity * SECONDS, (during.counts, capacity)
        assert during.percentile(50, "UNAVAILABLE") < during.percentile(50), during.counts
        recovered, after = asyncio.run(serve_load.closed(address, requests, SECONDS))
        assert set(after.counts) == {"OK"}, after.counts
        assert recovered > 0.7 * capacity
        assert threads() <= before + 4
