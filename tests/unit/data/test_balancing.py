import sys
from collections import Counter

import numpy as np
import pytest
from pictures import CLASSES, table_of

from skinzoo.data.balancing import METHODS, ORDERS, balance_pixels, synthesise, training_order
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding
from skinzoo.data.pipeline import InputPipeline
from skinzoo.errors import DataError, MissingExtraError, UsageError

LABELS = np.array(["nv"] * 100 + ["mel"] * 30 + ["df"] * 7)


def counts(order, epoch=0):
    return Counter(LABELS[order(epoch)].tolist())


def test_none_shows_every_row_once():
    order = training_order(LABELS, seed=1)
    assert sorted(order(0).tolist()) == list(range(137))


def test_oversampling_repeats_small_classes_evenly():
    order = training_order(LABELS, "oversample", per_class=50)
    assert counts(order) == {"nv": 100, "mel": 50, "df": 50}
    repeats = Counter(order(0).tolist())
    assert set(repeats) == set(range(137))
    assert {repeats[row] for row in range(100)} == {1}
    assert {repeats[row] for row in range(100, 130)} == {1, 2}
    assert {repeats[row] for row in range(130, 137)} == {7, 8}
    assert counts(training_order(LABELS, "oversample")) == {"nv": 100, "mel": 100, "df": 100}


def test_the_papers_number():
    labels = np.repeat(
        ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"], [304, 488, 1033, 109, 1079, 8042, 132]
    )
    order = training_order(labels, "oversample", per_class=8000)
    assert Counter(labels[order(0)].tolist()) == dict.fromkeys(
        ["akiec", "bcc", "bkl", "df", "mel", "vasc"], 8000
    ) | {"nv": 8042}


def test_undersampling_takes_a_fixed_choice():
    order = training_order(LABELS, "undersample")
    assert counts(order) == {"nv": 7, "mel": 7, "df": 7}
    assert sorted(order(0).tolist()) == sorted(order(5).tolist())
    assert order(0).tolist() != order(5).tolist()
    assert max(Counter(order(0).tolist()).values()) == 1
    assert counts(training_order(LABELS, "undersample", per_class=20)) == {"nv": 20, "mel": 20, "df": 7}


def test_class_balanced_draws_each_class_alike_and_anew_in_each_epoch():
    order = training_order(LABELS, "class_balanced")
    assert order.length == 137 == len(order(0))
    for epoch in range(3):
        assert max(counts(order, epoch).values()) - min(counts(order, epoch).values()) <= 1
    assert set(order(0).tolist()) != set(order(1).tolist())
    assert counts(training_order(LABELS, "class_balanced", per_class=9)) == {"nv": 9, "mel": 9, "df": 9}


@pytest.mark.parametrize("method", ORDERS)
def test_orders_are_functions_of_seed_and_epoch(method):
    def shown(seed, epoch):
        return training_order(LABELS, method, seed=seed)(epoch).tolist()

    assert shown(3, 2) == shown(3, 2)
    assert shown(3, 2) != shown(3, 3)
    assert shown(3, 2) != shown(4, 2)


@pytest.mark.parametrize("method", ["smote", "adasyn"])
def test_invented_vectors_lie_between_given_ones_of_their_class(method):
    pytest.importorskip("imblearn")
    random = np.random.default_rng(0)
    features = random.normal(size=(137, 6)).astype(np.float32)
    result = synthesise(features, LABELS, method, seed=1)
    np.testing.assert_array_equal(result.features[: result.given], features)
    np.testing.assert_array_equal(result.labels[: result.given], LABELS)
    after = Counter(result.labels.tolist())
    assert after["nv"] == 100
    assert all(90 <= after[name] <= 110 for name in ("mel", "df"))
    for name in ("mel", "df"):
        given = features[name == LABELS]
        new = result.features[result.given :][result.labels[result.given :] == name]
        assert (new >= given.min(0) - 1e-6).all()
        assert (new <= given.max(0) + 1e-6).all()
    again = synthesise(features, LABELS, method, seed=1)
    np.testing.assert_array_equal(again.features, result.features)
    assert not np.array_equal(synthesise(features, LABELS, method, seed=2).features, result.features)


@pytest.mark.parametrize("method", ["smote", "adasyn"])
def test_invented_images_are_added_at_the_end_with_nothing_known(tmp_path, method):
    pytest.importorskip("imblearn")
    table = table_of(tmp_path / "images", 24)
    cache = cached_images(table, Decoding(size=16), folder=tmp_path / "cache")
    part, images = balance_pixels(table, cache, method, seed=1, neighbours=3)
    new = part.iloc[24:]
    assert len(new) > 0
    assert set(new["label"]) <= {"bkl", "mel"}
    assert new["age"].isna().all()
    assert set(new["sex"]) == set(new["localization"]) == {"unknown"}
    assert set(new["image_path"]) == {""}
    assert part["image_id"].is_unique
    assert part.attrs["classes"] == CLASSES
    np.testing.assert_array_equal(images.gather(images.rows(table["image_id"])), cache.images)
    invented = images.gather(images.rows(new["image_id"]))
    assert invented.dtype == np.uint8
    batch = next(iter(InputPipeline(part, images, classes=CLASSES, batch_size=len(part)).numpy_batches()))
    assert batch[0]["image"].shape == (len(part), 16, 16, 3)


def test_other_parts_are_untouched_and_have_no_influence(tmp_path):
    """Whatever validation and test hold, the training rows come out the same; and they show each row once."""
    pytest.importorskip("imblearn")
    table = table_of(tmp_path / "images", 36)
    part_of = np.array((["train"] * 4 + ["validation", "test"]) * 6)
    cache = cached_images(table, Decoding(size=16), folder=tmp_path / "cache")
    other = table.copy()
    held_out = part_of != "train"
    other.loc[held_out, "label"] = "nv"
    other.loc[held_out, "age"] = 99.0
    other.loc[held_out, "image_id"] = "gone" + other["image_id"]
    results = []
    for whole in (table, other):
        before = whole.copy(deep=True)
        train = whole[part_of == "train"]
        orders = [training_order(train["label"], method, seed=1)(3).tolist() for method in ORDERS]
        synthetic = [
            balance_pixels(train, cache, method, seed=1, neighbours=3) for method in ("smote", "adasyn")
        ]
        results.append((orders, [(part.to_dict("list"), images.images) for part, images in synthetic]))
        assert whole.equals(before)
        for part, images in synthetic:
            assert not set(part["image_id"]) & set(whole.loc[held_out, "image_id"])
            assert not set(images.index) & set(whole.loc[held_out, "image_id"])
    assert results[0][0] == results[1][0]
    for (left, left_images), (right, right_images) in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_equal(left, right)
        np.testing.assert_array_equal(left_images, right_images)
    for name in ("validation", "test"):
        pipeline = InputPipeline(table[part_of == name], cache, classes=CLASSES)
        assert pipeline.rows_of_epoch(4).tolist() == list(range(6))


def test_a_class_smaller_than_its_neighbours_is_an_error():
    pytest.importorskip("imblearn")
    with pytest.raises(DataError, match=r"5 neighbours.*2 of class 'df'.*fewer neighbours"):
        synthesise(np.zeros((22, 2)), ["nv"] * 20 + ["df"] * 2, "smote")
    with pytest.raises(DataError, match="at least two classes"):
        synthesise(np.zeros((22, 2)), ["nv"] * 22, "smote")


def test_without_imbalanced_learn_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    monkeypatch.setitem(sys.modules, "imblearn", None)
    with pytest.raises(MissingExtraError, match=r'pip install "skinzoo\[balance\]"'):
        synthesise(np.zeros((22, 2)), ["nv", "df"] * 11, "smote")


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("overample", {}, "Did you mean 'oversample'"),
        ("smote", {}, "invents rows"),
        ("oversample", {"per_class": 0}, "`per_class`"),
        ("oversample", {"seed": -3}, "`seed`"),
    ],
)
def test_wrong_settings_are_refused(method, options, words):
    with pytest.raises(UsageError, match=words):
        training_order(LABELS, method, **options)


def test_no_rows_and_unknown_inventions_are_refused():
    with pytest.raises(DataError, match="at least one row"):
        training_order([], "oversample")
    with pytest.raises(UsageError, match="smote, adasyn"):
        synthesise(np.zeros((2, 2)), ["a", "b"], "oversample")
    assert set(ORDERS) < set(METHODS)
