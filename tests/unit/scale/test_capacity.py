"""How CPUs and GPUs are shared out."""

import pytest

from skinzoo.errors import UsageError
from skinzoo.scale.capacity import Capacity


@pytest.mark.parametrize(
    ("cores", "workers", "each"),
    [
        ((8,), 1, 8),
        ((8,), 2, 4),
        ((8,), 3, 2),
        ((8,), 8, 1),
        ((8, 8, 8), 2, 8),
        ((8, 4), 3, 4),
        ((2, 16), 3, 5),
    ],
)
def test_all_workers_fit_at_a_time(cores, workers, each):
    assert Capacity(cores).cores_each(workers) == each


def test_there_are_no_more_workers_than_cores():
    assert Capacity((2,)).workers(None) == 2
    assert Capacity((64,)).workers(None) == 4
    assert Capacity((4,) * 6).workers(None) == 6
    assert Capacity((4,)).workers(3) == 3
    for wanted in (0, 5):
        with pytest.raises(UsageError, match=f"from 1 to 4, the number of CPU cores. Received: {wanted}"):
            Capacity((4,)).workers(wanted)


def test_gpus_are_shared():
    assert Capacity((8,)).gpus_each(2) == 0
    assert Capacity((8,), 2).gpus_each(2) == 1
    assert Capacity((8,), 1).gpus_each(3) == pytest.approx(1 / 3)
    assert Capacity((8,), 4).gpus_each(2) == 1
