"""Agreement of drawn maps with drawn masks."""

import numpy as np
import pytest

from skinzoo.errors import DataError, UsageError
from skinzoo.explain.agreement import GAIN, IOU, IOU_EACH, POINTING, SHARE, AgreementCounter
from skinzoo.explain.scoring import CENTRE, THRESHOLDS, UNIFORM, reference_maps, score_map


def box(size, top, bottom, left, right):
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


def at(threshold):
    return int(np.argmin(np.abs(THRESHOLDS - threshold)))


def test_a_map_of_the_lesion_itself_is_perfect():
    mask = box(8, 2, 6, 1, 5)
    found = score_map(mask.astype(np.float32), mask)
    assert found.share == 1.0 and found.pointing == 1.0
    np.testing.assert_allclose(found.iou[1:], 1.0)
    assert found.iou[0] == pytest.approx(16 / 64)


def test_shares_and_iou_of_a_map_of_known_values():
    mask = box(4, 0, 2, 0, 4)
    map = np.zeros((4, 4), np.float32)
    map[0] = [4, 2, 0, 0]
    map[3] = [0, 0, 1, 1]
    found = score_map(map, mask)
    assert found.share == pytest.approx(6 / 8) and found.pointing == 1.0
    assert found.iou[at(0.5)] == pytest.approx(2 / 8)
    assert found.iou[at(0.25)] == pytest.approx(2 / 10)
    assert found.iou[at(1.0)] == pytest.approx(1 / 8)


def test_every_threshold_agrees_with_counting():
    rng = np.random.default_rng(0)
    map, mask = rng.random((16, 16)).astype(np.float32), rng.random((16, 16)) > 0.6
    level = (map - map.min()) / (map.max() - map.min())
    expected = [((level >= t) & mask).sum() / ((level >= t) | mask).sum() for t in THRESHOLDS]
    np.testing.assert_allclose(score_map(map, mask).iou, expected)


def test_pointing_beside_the_lesion_and_at_several_places():
    mask = box(4, 0, 2, 0, 4)
    map = np.zeros((4, 4), np.float32)
    map[3, 3] = 1
    assert score_map(map, mask).pointing == 0.0
    map[0, 0] = map[0, 1] = 1
    assert score_map(map, mask).pointing == pytest.approx(2 / 3)


def test_a_uniform_map_has_the_lesions_area_everywhere():
    mask = box(10, 0, 3, 0, 10)
    found = score_map(reference_maps(10)[UNIFORM], mask)
    assert found.share == found.pointing == found.iou.max() == pytest.approx(0.3)


def test_the_centred_map_has_seen_the_middle_only():
    fall = reference_maps(64)[CENTRE]
    np.testing.assert_allclose(fall, fall.T)
    np.testing.assert_allclose(fall, fall[::-1, ::-1])
    assert score_map(fall, box(64, 24, 40, 24, 40)).pointing == 1.0
    assert score_map(fall, box(64, 0, 16, 0, 16)).share < 1 / 16


def test_a_map_of_zeros_points_nowhere():
    found = score_map(np.zeros((4, 4), np.float32), box(4, 0, 2, 0, 4))
    assert np.isnan(found.share) and np.isnan(found.pointing) and found.iou[0] == 0.5


def counted(rows, **settings):
    counter = AgreementCounter(draws=200, **settings)
    for map, mask, lesion in rows:
        counter.add({"one": map}, mask, lesion=lesion, label="mel" if lesion < "c" else "nv")
    return counter


def test_the_best_threshold_of_all_is_one_for_all():
    mask = box(8, 0, 4, 0, 8)
    # The first map is the lesion from 0.6 on, the second up to 0.4 only; 0.5 fits neither well.
    first, second = np.full((8, 8), 0.55, np.float32), np.zeros((8, 8), np.float32)
    first[:4] = 1
    first[7, 7] = 0
    second[:4] = 0.45
    second[0, 0] = 1
    summary = counted([(first, mask, "a"), (second, mask, "b")]).summary().methods["one"]
    both = (score_map(first, mask).iou + score_map(second, mask).iou) / 2
    assert summary.scores[IOU].value == pytest.approx(both.max())
    assert summary.threshold == pytest.approx(THRESHOLDS[both.argmax()])
    assert summary.scores[IOU_EACH].value == pytest.approx(1.0)
    assert summary.scores[IOU].value < 0.9


def test_means_notes_and_classes():
    mask = box(4, 0, 1, 0, 4)
    good, bad, none = mask.astype(np.float32), (~mask).astype(np.float32), np.zeros((4, 4), np.float32)
    rows = [(good, mask, "a"), (good, mask, "a"), (bad, mask, "c"), (none, mask, "d"), (good, None, "e")]
    counter = counted([*rows, (good, np.zeros((4, 4), bool), "f")])
    found = counter.summary()
    assert (found.images, found.without_mask, found.empty_masks) == (4, 1, 1)
    assert (found.unit, found.units, found.area) == ("lesion", 3, 0.25)
    one = found.methods["one"]
    assert one.scores[SHARE].value == pytest.approx(2 / 3) and one.scores[POINTING].value == pytest.approx(
        2 / 3
    )
    assert one.scores[GAIN].value == pytest.approx(2 / 3 - 0.25)
    assert one.by_label == {"mel": 1.0, "nv": 0.0} and one.empty == 1
    assert found.methods[UNIFORM].scores[SHARE].value == 0.25
    assert len(found.notes()) == 3 and "without a mask" in found.notes()[0]


def test_intervals_are_over_lesions():
    rng = np.random.default_rng(0)
    mask = box(4, 0, 2, 0, 4)
    maps = [rng.random((4, 4)).astype(np.float32) for _ in range(40)]
    # Ten images of one lesion tell no more than one.
    copies = [(map, mask, f"a{i}") for i, map in enumerate(maps) for _ in range(10)]
    once = [(map, mask, f"a{i}") for i, map in enumerate(maps)]
    apart = [(map, mask, "") for map, mask, _ in copies]

    def width(rows):
        found = counted(rows).summary()
        interval = found.methods["one"].scores[SHARE].interval
        assert interval.low < found.methods["one"].scores[SHARE].value < interval.high
        return interval.high - interval.low

    assert width(copies) == pytest.approx(width(once))
    assert width(apart) < 0.5 * width(copies)


def test_no_mask_at_all_is_an_error():
    map = np.ones((4, 4), np.float32)
    with pytest.raises(DataError, match="none for 2 images"):
        counted([(map, None, "a"), (map, None, "b")]).summary()
    with pytest.raises(DataError, match="1 masks that show no lesion"):
        counted([(map, np.zeros((4, 4), bool), "a")]).summary()
    with pytest.raises(UsageError, match="at least 100"):
        AgreementCounter(draws=99)
