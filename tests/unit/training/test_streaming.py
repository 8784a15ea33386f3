"""Training on features that are still being computed."""

import errno
import json
import signal
import threading
import time

import numpy as np
import pytest

from skinzoo.data.order import Shuffled
from skinzoo.errors import StoppedError
from skinzoo.training import feature_cache
from skinzoo.training.lock import LOCK_FILE
from skinzoo.training.order import FeatureOrder
from skinzoo.training.runs import NoRoomError, RunFolder
from skinzoo.training.stream import ClosedError, Stream
from skinzoo.training.trainer import resume, train

from .conftest import TINY, Recorder, program_of, same_weights, weights_of, without_times

SETTINGS = ("training.views=2", "training.steps_per_epoch=2", "training.epochs=9")
# Two batches of validation features and one of training features, which the first epoch's 16 places need.
ENOUGH_FOR_AN_EPOCH = 3


@pytest.fixture
def folder(sample_home):
    return sample_home / "cache" / "features"


@pytest.fixture
def with_extractor(monkeypatch):
    """Let a function be called with the number of each batch before its features are computed."""
    original = feature_cache.forward_of

    def patch(before):
        def forward_of(extractor):
            forward, numbers = original(extractor), iter(range(1000))

            def watched(image):
                before(next(numbers))
                return forward(image)

            return watched

        monkeypatch.setattr(feature_cache, "forward_of", forward_of)

    return patch


class Opens(Recorder):
    """Lets the extractor go on when the first epoch has ended."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.features = []
        self.at_end = []

    def before(self, number):
        if number >= ENOUGH_FOR_AN_EPOCH:
            assert self.gate.wait(60), "the first epoch waits for features that it does not show"

    def prepared(self, what, done, total):
        if what == "Computing features":
            self.features.append((done, total))

    def epoch_ended(self, row, best):
        super().epoch_ended(row, best)
        self.at_end += self.features[-1:]
        self.gate.set()


def names(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_the_first_epoch_ends_before_all_features_are_there(tiny, tmp_path, folder, with_extractor):
    listener = Opens()
    with_extractor(listener.before)
    config = tiny(*SETTINGS, "training.seed=11", recipe="frozen")
    before = names(folder)
    streamed = RunFolder(train(config, folder=tmp_path, name="streamed", listener=listener).run)
    done, total = listener.at_end[0]
    assert done < total
    assert listener.features[-1] == (total, total)
    (made,) = names(folder) - before
    files = {path.name for path in (folder / made).iterdir()}
    assert files == {"train.npy", "validation.npy", "record.json"}

    cached = RunFolder(train(config, folder=tmp_path, name="cached", listener=(again := Opens())).run)
    assert again.features == [], "they were found"
    assert names(folder) == before | {made}
    assert without_times(cached.history()) == without_times(streamed.history())
    assert same_weights(weights_of(cached), weights_of(streamed))


@pytest.mark.parametrize(
    ("error", "expected", "seed"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), NoRoomError, 15),
        pytest.param(ValueError("broken"), ValueError, 16, marks=pytest.mark.slow),
    ],
)
def test_what_fails_in_the_thread_is_raised_as_what_it_is(
    tiny, tmp_path, folder, with_extractor, error, expected, seed
):
    def fails(number):
        if number == ENOUGH_FOR_AN_EPOCH:
            raise error

    before = names(folder)
    with_extractor(fails)
    config = tiny(*SETTINGS[:2], "training.epochs=3", f"training.seed={seed}", recipe="frozen")
    with pytest.raises(expected, match=f"No space|{error}"):
        train(config, folder=tmp_path, name="failed")
    assert names(folder) == before
    with_extractor(lambda number: None)
    assert resume(RunFolder(tmp_path / "failed")).epochs == 3


def test_a_signal_ends_the_thread_and_resuming_gives_the_same_history(tiny, tmp_path, folder, with_extractor):
    config = tiny(*SETTINGS, "training.seed=13", "hardware.deterministic=true", recipe="frozen")
    closing = threading.Event()

    class Interrupts(Recorder):
        def stepped(self, report):
            if report.epoch == 2:
                closing.set()
                signal.raise_signal(signal.SIGTERM)

    def slow(number):
        if number > ENOUGH_FOR_AN_EPOCH:
            closing.wait(60)
            time.sleep(2)

    before = names(folder)
    with_extractor(slow)
    with pytest.raises(StoppedError, match="Stopped in epoch 2 after step 1"):
        train(config, folder=tmp_path, name="stopped", listener=Interrupts())
    assert names(folder) == before
    assert not any(thread.name == "features" for thread in threading.enumerate())
    with_extractor(lambda number: None)
    resume(RunFolder(tmp_path / "stopped"))
    whole = RunFolder(train(config, folder=tmp_path, name="whole").run)
    stopped = RunFolder(tmp_path / "stopped")
    assert without_times(stopped.history()) == without_times(whole.history())
    assert same_weights(weights_of(stopped), weights_of(whole))


KILLED = """
import json, os, signal, sys, threading
from pathlib import Path

from skinzoo.config import make_config
from skinzoo.training import feature_cache
from skinzoo.training.listener import Listener
from skinzoo.training.trainer import train

class Kills(Listener):
    def epoch_ended(self, row, best):
        os.kill(os.getpid(), signal.SIGKILL)

original = feature_cache.forward_of

def forward_of(extractor):
    forward, numbers = original(extractor), iter(range(1000))

    def hangs(image):
        if next(numbers) >= 3:
            threading.Event().wait()
        return forward(image)

    return hangs

feature_cache.forward_of = forward_of
config = make_config("cnn", recipe="frozen", assignments=json.loads(sys.argv[2]))
train(config, folder=Path(sys.argv[1]), name="killed", listener=Kills())
"""


def test_a_kill_leaves_nothing_that_looks_complete(tiny, tmp_path, sample_home, folder):
    settings = [*(text for text in TINY if "epochs" not in text), *SETTINGS, "training.seed=14"]
    before = names(folder)
    process = program_of(KILLED, str(tmp_path), json.dumps(settings), home=sample_home)
    _, err = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, err
    (left,) = names(folder) - before
    assert left.endswith(".part")
    assert not (folder / left / "record.json").exists()
    assert resume(RunFolder(tmp_path / "killed")).epochs == 9
    (made,) = names(folder) - before
    assert not made.startswith("."), "what the kill left was removed"
    assert not (folder / made / LOCK_FILE).exists()


def test_first_every_other_place_is_new_and_later_every_row_comes_once_a_pass():
    rows, views = 10, 3
    order = FeatureOrder(Shuffled(rows, seed=4), views, length=7, seed=4)
    shown = np.concatenate([order(epoch) for epoch in range(20)])
    new = shown[: 2 * rows * views : 2]
    assert [view for view, _ in new] == [view for view in range(views) for _ in range(rows)]
    for view in range(views):
        assert np.array_equal(new[new[:, 0] == view, 1], Shuffled(rows, seed=4)(view))
    for place in range(1, 2 * rows * views, 2):
        assert tuple(shown[place]) in {tuple(one) for one in new[: place // 2 + 1]}
    later = shown[2 * rows * views :]
    for start in range(0, len(later) - rows, rows):
        assert sorted(later[start : start + rows, 1]) == list(range(rows))
    assert set(later[:, 0]) == set(range(views))
    assert np.array_equal(order(11), FeatureOrder(Shuffled(rows, seed=4), views, length=7, seed=4)(11))


def test_whoever_waits_is_let_go_when_the_work_is_given_up():
    begun, goes_on = threading.Event(), threading.Event()

    def work(advance):
        advance(2)
        begun.set()
        goes_on.wait(60)
        advance(1)

    reports = []
    stream = Stream(5, work, lambda done, total: reports.append((done, total)))
    stream.start()
    stream.wait(2)
    assert reports == [(2, 5)]
    raised = []

    def waits():
        try:
            stream.await_silently(5)
        except ClosedError as error:
            raised.append(error)

    waiter = threading.Thread(target=waits)
    waiter.start()

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream.wait(5, interrupted)
    goes_on.set()
    stream.close()
    waiter.join(60)
    assert len(raised) == 1
