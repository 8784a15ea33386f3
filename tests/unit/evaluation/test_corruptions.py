import numpy as np
import pytest

from skinzoo.errors import UsageError
from skinzoo.evaluation.corruptions import CORRUPTIONS, GREY, OCCLUDED_SHARES, STRENGTHS, corrupted

IDS = ("one", "two", "three")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(64), np.arange(64))[..., None] + np.array([40, 20, 0])
    return (smooth + rng.integers(0, 60, (3, 64, 64, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_stronger_corruption_changes_more(images, name):
    changes = []
    for strength in STRENGTHS:
        found = corrupted(images, IDS, name=name, strength=strength)
        assert found.shape == images.shape and found.dtype == np.uint8
        changes.append(np.abs(found.astype(float) - images).mean())
    assert changes[0] > 0 and (np.diff(changes) > 0).all(), changes


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_chance_follows_from_seed_and_image_alone(images, name):
    whole = corrupted(images, IDS, name=name, strength=3, seed=1)
    alone = corrupted(images[1:2], IDS[1:2], name=name, strength=3, seed=1)
    assert (alone[0] == whole[1]).all()
    assert (images == images.copy()).all()


def test_another_seed_covers_another_place(images):
    first, second = (corrupted(images, IDS, name="occlusion", strength=3, seed=seed) for seed in (0, 1))
    assert (first != second).any()


def test_what_they_do_is_what_they_say(images):
    flat = np.full((8, 64, 64, 3), 100, np.uint8)
    ids = [f"i{i}" for i in range(8)]
    assert (corrupted(flat, ids, name="blur", strength=5) == 100).all()
    shifted = corrupted(flat, ids, name="brightness", strength=1)
    assert set(np.unique(shifted)) == {74, 126}  # 100 -+ 25.5, rounded to even
    for strength, share in zip(STRENGTHS, OCCLUDED_SHARES, strict=True):
        covered = corrupted(flat, ids, name="occlusion", strength=strength)
        assert np.mean(covered == GREY) == pytest.approx(share, rel=0.1)
        assert ((covered == 100) | (covered == GREY)).all()


def test_a_strength_beyond_the_grades(images):
    with pytest.raises(UsageError, match=r"`strength` must be one of 1 to 5\. Received: 6\."):
        corrupted(images, IDS, name="blur", strength=6)
