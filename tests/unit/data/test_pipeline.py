import os
import subprocess
import sys

import numpy as np
import pytest
from pictures import CLASSES, table_of

from skinzoo.data.augment import AUGMENTATIONS, PAPERS
from skinzoo.data.balancing import training_order
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding
from skinzoo.data.order import Sequential, Shuffled
from skinzoo.data.pipeline import InputPipeline, label_indices
from skinzoo.errors import DataError, UsageError
from skinzoo.vocabulary import LOCALIZATION, SEX

tf = pytest.importorskip("tensorflow")

SMALL = Decoding(size=24)


@pytest.fixture
def table(tmp_path):
    return table_of(tmp_path / "images")


@pytest.fixture
def images(table, tmp_path):
    return cached_images(table, SMALL, folder=tmp_path / "cache")


def as_numpy(dataset):
    return list(dataset.as_numpy_iterator())


def assert_same_batches(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right) > 0
    for one, other in zip(left, right, strict=True):
        assert len(one) == len(other)
        assert one[0].keys() == other[0].keys()
        for name in one[0]:
            assert one[0][name].dtype == other[0][name].dtype
            np.testing.assert_array_equal(one[0][name], other[0][name])
        for a, b in zip(one[1:], other[1:], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_batches_are_as_documented(table, images):
    pipeline = InputPipeline(table, images, classes=CLASSES, batch_size=5)
    batches = as_numpy(pipeline.epoch())
    assert [len(labels) for _, labels in batches] == [5, 5, 2]
    inputs = {name: np.concatenate([batch[0][name] for batch in batches]) for name in batches[0][0]}
    labels = np.concatenate([labels for _, labels in batches])
    assert {name: (value.dtype.name, value.shape) for name, value in inputs.items()} == {
        "image": ("uint8", (12, 24, 24, 3)),
        "age": ("float32", (12,)),
        "sex": ("int32", (12,)),
        "localization": ("int32", (12,)),
    }
    np.testing.assert_array_equal(inputs["image"], images.images)
    np.testing.assert_array_equal(inputs["age"], table["age"].to_numpy(np.float32))
    assert np.isnan(inputs["age"][1])
    np.testing.assert_array_equal(inputs["sex"], SEX.indices(table["sex"]))
    np.testing.assert_array_equal(inputs["localization"], LOCALIZATION.indices(table["localization"]))
    assert inputs["localization"][2] == 0
    assert labels.dtype == np.float32
    assert [CLASSES[index] for index in labels.argmax(-1)] == list(table["label"])
    np.testing.assert_array_equal(labels.sum(-1), 1.0)


def test_a_part_of_the_table_reads_its_own_rows(table, images):
    part = table.iloc[[7, 2, 9]]
    ((inputs, _labels),) = as_numpy(InputPipeline(part, images, classes=CLASSES).epoch())
    np.testing.assert_array_equal(inputs["image"], images.images[[7, 2, 9]])
    np.testing.assert_array_equal(inputs["age"], part["age"].to_numpy(np.float32))


def test_sample_weights_follow_their_rows(table, images):
    pipeline = InputPipeline(
        table, images, classes=CLASSES, batch_size=4, order=Shuffled(12, 3), sample_weight=np.arange(12) / 2
    )
    weights = np.concatenate([batch[2] for batch in as_numpy(pipeline.epoch(2))])
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights * 2, Shuffled(12, 3)(2))


def test_each_epoch_shows_every_row_once_in_its_own_order(table, images):
    pipeline = InputPipeline(table, images, classes=CLASSES, batch_size=5, order=Shuffled(12, 0))
    orders = [pipeline.rows_of_epoch(epoch).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    for epoch, order in enumerate(orders):
        shown = np.concatenate([batch[0]["image"] for batch in as_numpy(pipeline.epoch(epoch))])
        np.testing.assert_array_equal(shown, images.images[order])


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    assert Shuffled(1000, 5)(7).tolist() == Shuffled(1000, 5)(7).tolist()
    assert Shuffled(1000, 5)(7).tolist() != Shuffled(1000, 6)(7).tolist()
    assert Shuffled(1000, 5)(7).tolist() != Shuffled(1000, 5)(8).tolist()
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    program = "from skinzoo.data.order import Shuffled; print(Shuffled(9, 5)(7).tolist())"
    other = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert other.stdout.strip() == str(Shuffled(9, 5)(7).tolist())


def test_consecutive_epochs_are_the_single_epochs_one_after_the_other(table, images):
    pipeline = InputPipeline(
        table, images, classes=CLASSES, batch_size=5, order=Shuffled(12, 1), augmentation=PAPERS, seed=4
    )
    single = [batch for epoch in (2, 3) for batch in as_numpy(pipeline.epoch(epoch))]
    assert_same_batches(as_numpy(pipeline.epochs(2, 4)), single)
    assert_same_batches(as_numpy(pipeline.epochs(2).take(6)), single)


def test_a_training_that_was_stopped_goes_on_with_the_same_pixels(table, images):
    def pipeline():
        return InputPipeline(
            table, images, classes=CLASSES, batch_size=5, order=Shuffled(12, 1), augmentation=PAPERS, seed=4
        )

    whole = as_numpy(pipeline().epochs(0, 3))
    assert_same_batches(as_numpy(pipeline().epochs(1, 3, first_step=2)), whole[5:])
    assert pipeline().epochs(1, 3, first_step=2).cardinality().numpy() == 4


def test_numpy_batches_are_the_same_without_augmentation(table, images):
    options = {
        "classes": CLASSES,
        "batch_size": 5,
        "order": training_order(table["label"], "oversample", seed=2),
        "sample_weight": np.linspace(0, 1, 12),
    }
    plain = InputPipeline(table, images, **options)
    augmented = InputPipeline(table, images, augmentation=PAPERS, **options)
    for epoch in range(2):
        assert_same_batches(plain.numpy_batches(epoch), as_numpy(plain.epoch(epoch)))
        assert_same_batches(augmented.numpy_batches(epoch), as_numpy(plain.epoch(epoch)))
    assert_same_batches(plain.numpy_batches(1, first_step=2), as_numpy(plain.epoch(1, first_step=2)))


def test_a_dropped_remainder_gives_static_shapes(table, images):
    pipeline = InputPipeline(table, images, classes=CLASSES, batch_size=5, drop_remainder=True)
    assert pipeline.steps_per_epoch == 2
    dataset = pipeline.epoch()
    assert dataset.element_spec[0]["image"].shape == (5, 24, 24, 3)
    assert dataset.cardinality().numpy() == 2 == len(as_numpy(dataset))
    assert len(list(pipeline.numpy_batches())) == 2


def test_augmentation_changes_images_and_nothing_else(table, images):
    options = {"classes": CLASSES, "batch_size": 6, "order": Shuffled(12, 1)}
    plain = as_numpy(InputPipeline(table, images, **options).epoch(1))
    changed = as_numpy(InputPipeline(table, images, augmentation=AUGMENTATIONS["cutout"], **options).epoch(1))
    for one, other in zip(plain, changed, strict=True):
        assert not np.array_equal(one[0].pop("image"), other[0].pop("image"))
    assert_same_batches(plain, changed)


def test_fit_goes_through_the_epochs(table, images):
    import keras

    model = keras.Sequential(
        [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    model.compile("sgd", "categorical_crossentropy")
    pipeline = InputPipeline(table, images, classes=CLASSES, batch_size=5, order=Shuffled(12, 1))
    shown = []
    batches = pipeline.epochs().map(lambda inputs, labels: (inputs["image"], labels))
    watched = batches.map(
        lambda image, labels: (
            tf.numpy_function(lambda i: (shown.append(len(i)), i)[1], [image], tf.uint8),
            labels,
        )
    ).map(lambda image, labels: (tf.ensure_shape(image, (None, 24, 24, 3)), labels))
    model.fit(watched, epochs=3, steps_per_epoch=pipeline.steps_per_epoch, verbose=0, shuffle=False)
    assert shown[:9] == [5, 5, 2] * 3


def test_a_cache_in_memory_serves_as_well(table, images):
    held = cached_images(table, SMALL, in_memory=True)
    options = {"classes": CLASSES, "batch_size": 5, "order": Shuffled(12, 1)}
    assert_same_batches(
        as_numpy(InputPipeline(table, held, **options).epoch()),
        as_numpy(InputPipeline(table, images, **options).epoch()),
    )


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"batch_size": 0}, UsageError, "`batch_size` must be a whole number"),
        ({"batch_size": 2.0}, UsageError, "`batch_size` must be a whole number"),
        ({"batch_size": 13, "drop_remainder": True}, UsageError, "at most the 12 rows"),
        ({"seed": -1}, UsageError, "`seed`"),
        ({"sample_weight": [1.0]}, UsageError, r"must have shape \(12,\)"),
        ({"classes": ("mel", "nv")}, DataError, "Received: 'bkl'"),
    ],
)
def test_wrong_settings_are_refused(table, images, settings, error, words):
    with pytest.raises(error, match=words):
        InputPipeline(table, images, **{"classes": CLASSES, **settings})


def test_an_empty_part_and_unknown_images_are_refused(table, images):
    with pytest.raises(DataError, match="at least one row"):
        InputPipeline(table.iloc[:0], images, classes=CLASSES)
    with pytest.raises(DataError, match="Received: 'other'"):
        InputPipeline(table.assign(image_id="other"), images, classes=CLASSES)


def test_labels_become_indices_in_class_order():
    assert label_indices(["nv", "bkl"], CLASSES).tolist() == [2, 0]
    with pytest.raises(DataError, match="Did you mean 'mel'"):
        label_indices(["mell"], CLASSES)


def test_sequential_is_the_same_in_every_epoch():
    assert Sequential(3)(0).tolist() == Sequential(3)(9).tolist() == [0, 1, 2]


def test_smaller_images_are_means_over_areas(table, images):
    pipeline = InputPipeline(
        table, images, classes=CLASSES, batch_size=5, augmentation=AUGMENTATIONS["flips"]
    )
    for (whole, labels), (small, same) in zip(
        as_numpy(pipeline.epoch(3)), as_numpy(pipeline.smaller(12).epoch(3)), strict=True
    ):
        means = whole["image"].reshape(-1, 12, 2, 12, 2, 3).mean((2, 4))
        assert small["image"].dtype == np.uint8
        assert np.abs(small["image"] - means).max() <= 0.5
        np.testing.assert_array_equal(small["age"], whole["age"])
        np.testing.assert_array_equal(same, labels)
    for size in (0, 25):
        with pytest.raises(UsageError, match="from 1 to the 24 pixels"):
            pipeline.smaller(size)


def test_nothing_tunes_it_that_its_end_would_wait_for(table, images):
    pipeline = InputPipeline(table, images, classes=CLASSES, batch_size=5, augmentation=PAPERS)
    options = pipeline.epochs().options()
    assert not options.autotune.enabled
    # What else was set is still there.
    assert options.experimental_distribute.auto_shard_policy == tf.data.experimental.AutoShardPolicy.DATA
