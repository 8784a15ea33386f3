import logging
import os

import pytest

from skinzoo.serving.copying import Sightings, missing_from, stamp_of, whole_versions
from skinzoo.serving.folders import ModelSource, Policy

GRAPH, INDEX = "saved_model.pb", "variables/variables.index"
SHARDS = ("variables/variables.data-00000-of-00002", "variables/variables.data-00001-of-00002")


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 10)
    return folder


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ((), GRAPH),
        ((GRAPH,), None),
        ((INDEX, *SHARDS), GRAPH),
        ((GRAPH, SHARDS[0]), INDEX),
        ((GRAPH, INDEX), "variables/variables.data-00000-of-00001"),
        ((GRAPH, INDEX, SHARDS[1]), SHARDS[0]),
        ((GRAPH, INDEX, SHARDS[0]), SHARDS[1]),
        ((GRAPH, INDEX, *SHARDS), None),
    ],
)
def test_what_is_missing_from_a_copy(tmp_path, names, missing):
    assert missing_from(write(tmp_path, *names)) == missing


def test_a_folder_is_settled_once_it_is_whole_and_was_so_before(tmp_path):
    folder, sightings = write(tmp_path, GRAPH, INDEX), Sightings()

    def look():
        settled = sightings.settled(folder)
        sightings.looked()
        return settled

    assert [look(), look()] == [False, False]
    write(folder, *SHARDS)
    assert [look(), look()] == [False, True]
    (folder / SHARDS[0]).write_bytes(b"x" * 11)
    assert [look(), look()] == [False, True]
    # The same size: only the time tells.
    os.utime(folder / SHARDS[0], ns=(1, 1))
    assert [look(), look()] == [False, True]


def test_a_folder_that_was_away_is_new_again(tmp_path):
    folder, sightings = write(tmp_path, GRAPH), Sightings()
    sightings.settled(folder)
    sightings.looked()
    sightings.looked()
    assert not sightings.settled(folder)


def test_a_stamp_tells_of_every_file(tmp_path):
    before = stamp_of(write(tmp_path, GRAPH))
    assert stamp_of(tmp_path) == before
    assert stamp_of(write(tmp_path, INDEX)) != before


def test_versions_that_are_not_whole_are_left_out_while_others_are(tmp_path, caplog):
    write(tmp_path / "1", GRAPH)
    write(tmp_path / "2", INDEX)
    source = ModelSource(name="m", base_path=tmp_path)
    with caplog.at_level(logging.WARNING):
        assert whole_versions(source) == {1: tmp_path / "1"}
    assert "Leaving out m version 2" in caplog.text
    # Asked for by number it is loaded, or its failure told.
    asked = ModelSource(name="m", base_path=tmp_path, policy=Policy(specific=(2,)))
    assert set(whole_versions(asked)) == {1, 2}
    # Where nothing is whole there is a failure to tell as well.
    (tmp_path / "1" / GRAPH).unlink()
    assert set(whole_versions(source)) == {1, 2}
