"""Batches of limited count and bytes, merged back into the order of the cases."""

from skinzoo.client.batches import batches
from skinzoo.client.cases import ReadyCase, Result


def slot(size):
    return ReadyCase(id=str(size), source="", image=bytes(size), age=0, sex="", localization="")


def sizes(slots, count=100, size=100):
    return [
        [len(one.image) if isinstance(one, ReadyCase) else 0 for one in batch.slots]
        for batch in batches(slots, count, size)
    ]


def test_by_count_and_bytes():
    assert sizes(map(slot, [1] * 5), count=2) == [[1, 1], [1, 1], [1]]
    assert sizes(map(slot, [60, 40, 50, 51, 1])) == [[60, 40], [50], [51, 1]]
    assert sizes([]) == []


def test_a_large_image_goes_alone():
    assert sizes(map(slot, [10, 500, 10])) == [[10], [500], [10]]
    assert sizes(map(slot, [500])) == [[500]]


def test_answers_are_put_between_the_errors():
    bad = Result(error="bad")
    [batch] = batches([bad, slot(1), slot(2), bad, slot(3)], 100, 100)
    assert [one.id for one in batch.cases] == ["1", "2", "3"]
    merged = batch.merged([Result(id="1"), Result(id="2"), Result(id="3")])
    assert [one.id or one.error for one in merged] == ["bad", "1", "2", "bad", "3"]
