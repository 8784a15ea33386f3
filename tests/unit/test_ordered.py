"""Work in threads whose results keep the order of what was worked on."""

import queue
import threading
import time

import pytest

from skinzoo.ordered import in_order


def test_results_keep_the_order_whatever_is_done_first():
    def work(number):
        time.sleep(0.02 * (3 - number % 4))
        return number

    assert list(in_order(range(40), work, 4)) == list(range(40))


def test_no_more_threads_than_asked_and_few_items_ahead():
    lock = threading.Lock()
    now = most = taken = 0

    def items():
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    def work(number):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1
        return number

    for done, _ in enumerate(in_order(items(), work, 3)):
        assert taken <= done + 6
    assert most == 3


def test_a_result_does_not_wait_for_the_next_item():
    coming = queue.Queue()
    results = in_order(iter(coming.get, None), lambda item: item, 2)
    for number in range(1, 4):
        coming.put(number)
        assert next(results) == number
    coming.put(None)
    assert list(results) == []


def test_what_is_raised_comes_in_its_place():
    def items():
        yield 1
        raise RuntimeError("no more")

    results = in_order(items(), lambda item: item, 2)
    assert next(results) == 1
    with pytest.raises(RuntimeError, match="no more"):
        next(results)

    results = in_order([1, 0, 1], lambda item: 1 // item, 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_whoever_stops_early_leaves_nothing_behind():
    results = in_order(iter(int, 1), lambda item: item, 2)
    next(results)
    results.close()
    until = time.monotonic() + 30
    while any(one.name.startswith("skinzoo-") for one in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.02)
