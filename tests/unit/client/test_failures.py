"""When a request is tried again, and what addresses and options are taken."""

import grpc
import pytest

from skinzoo.client import ClientOptions
from skinzoo.client.failures import Outage, Retry
from skinzoo.client.options import Selector, checked_address
from skinzoo.errors import UsageError

AWAY = grpc.StatusCode.UNAVAILABLE


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_only_a_server_that_is_away_is_tried_again():
    for code in grpc.StatusCode:
        pause = Retry(10).pause(code)
        assert (pause is not None) == (code in (AWAY, grpc.StatusCode.CANCELLED)), code


def test_pauses_grow_and_end_with_the_budget():
    clock, told = Clock(), []
    retry = Retry(60, clock, told.append)
    pauses = []
    while (pause := retry.pause(AWAY)) is not None:
        pauses.append(pause)
        clock.now += pause
    assert clock.now == pytest.approx(1060)
    assert 0.05 <= pauses[0] <= 0.1 and max(pauses) <= 5
    assert sum(pauses[:5]) < 5 and 12 < len(pauses) < 40
    assert told == ["The server is unavailable; trying again for up to 60 s."]


def test_an_outage_is_said_once_by_all_calls_together():
    told = []
    outage = Outage(told.append)
    for _ in range(3):
        Retry(60, notify=outage.began).pause(AWAY)
    assert len(told) == 1
    outage.over()
    Retry(60, notify=outage.began).pause(AWAY)
    assert len(told) == 2
    Retry(60, notify=Outage(None).began).pause(AWAY)


def test_no_budget_is_no_other_try():
    told = []
    assert Retry(0, notify=told.append).pause(AWAY) is None
    assert told == []


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("localhost:8500", "localhost:8500"),
        ("localhost", "localhost:8500"),
        ("[::1]:9000", "[::1]:9000"),
        ("[::1]", "[::1]:8500"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_addresses(given, address):
    assert checked_address(given) == address


@pytest.mark.parametrize(
    "given", ["", ":8500", "localhost:", "localhost:x", "http://localhost:8500", "a:99999"]
)
def test_no_addresses(given):
    with pytest.raises(UsageError, match="`server` must be HOST:PORT"):
        checked_address(given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"api": "rest"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"retry_seconds": -1},
        {"wait": -1},
        {"batch": 0},
        {"batch_bytes": 0},
        {"in_flight": 0},
    ],
)
def test_options_that_cannot_be(wrong):
    with pytest.raises(UsageError, match=f"`{next(iter(wrong))}` must "):
        ClientOptions(**wrong)


def test_a_version_and_a_label_do_not_go_together():
    with pytest.raises(UsageError, match="must not come together"):
        Selector(name="m", version=1, label="stable")
