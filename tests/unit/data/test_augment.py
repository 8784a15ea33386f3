import numpy as np
import pytest
from pictures import picture

from skinzoo.data.augment import AUGMENTATIONS, PAPERS, Augmentation, Augmenter, affine_transforms
from skinzoo.errors import UsageError

tf = pytest.importorskip("tensorflow")

SIZE = 48


@pytest.fixture(scope="module")
def batch():
    return np.stack([picture(SIZE, SIZE, seed) for seed in range(16)])


@pytest.fixture(scope="module")
def augmenters():
    return {name: Augmenter(one, size=SIZE, seed=3) for name, one in AUGMENTATIONS.items() if one}


@pytest.mark.parametrize("name", [name for name, one in AUGMENTATIONS.items() if one])
def test_pixels_are_a_function_of_seed_epoch_and_step(batch, augmenters, name):
    first = augmenters[name](batch, 2, 5).numpy()
    assert first.dtype == np.uint8
    assert first.shape == batch.shape
    assert not np.array_equal(first, batch)
    again = Augmenter(AUGMENTATIONS[name], size=SIZE, seed=3)
    np.testing.assert_array_equal(again(batch, 2, 5).numpy(), first)
    traced = tf.function(lambda images, epoch, step: again(images, epoch, step))
    numbers = tf.constant(2, tf.int64), tf.constant(5, tf.int64)
    in_graph = traced(batch, *numbers).numpy()
    np.testing.assert_array_equal(traced(batch, *numbers).numpy(), in_graph)
    # Graph optimisation reorders float operations, so that single pixels round the other way.
    assert (in_graph == first).mean() > 0.999
    assert not np.array_equal(again(batch, 3, 5).numpy(), first)
    assert not np.array_equal(again(batch, 2, 6).numpy(), first)
    other_seed = Augmenter(AUGMENTATIONS[name], size=SIZE, seed=4)
    assert not np.array_equal(other_seed(batch, 2, 5).numpy(), first)


def test_images_of_a_batch_are_changed_each_in_its_own_way(augmenters):
    same = np.repeat(picture(SIZE, SIZE)[None], 16, axis=0)
    for name, augmenter in augmenters.items():
        different = {image.tobytes() for image in augmenter(same).numpy()}
        assert len(different) >= {"flips": 4, "dihedral": 6}.get(name, 12), name


def test_flips_mirror_exactly_and_in_half_of_the_cases():
    same = np.repeat(picture(SIZE, SIZE)[None], 400, axis=0)
    flipped = Augmenter(AUGMENTATIONS["flips"], size=SIZE)(same).numpy()
    kinds = {"none": same[0], "left": same[0][:, ::-1], "up": same[0][::-1], "both": same[0][::-1, ::-1]}
    counts = {name: int((flipped == kind).all((1, 2, 3)).sum()) for name, kind in kinds.items()}
    assert sum(counts.values()) == 400
    assert all(70 <= count <= 130 for count in counts.values()), counts


def test_quarter_turns_and_flips_give_each_of_the_eight_views_as_often():
    one = picture(SIZE, SIZE)
    turned = Augmenter(AUGMENTATIONS["dihedral"], size=SIZE)(np.repeat(one[None], 800, axis=0)).numpy()
    views = [np.rot90(side, quarters) for side in (one, one[:, ::-1]) for quarters in range(4)]
    counts = [int((turned == view).all((1, 2, 3)).sum()) for view in views]
    assert sum(counts) == 800
    assert all(65 <= count <= 135 for count in counts), counts


def test_the_affine_map_is_that_of_image_data_generator():
    """Against SciPy with the matrix as Keras 2 composes it, on the drawn parameters."""
    from scipy.ndimage import affine_transform

    image = picture(SIZE, SIZE).astype(np.float32)
    transforms = affine_transforms(PAPERS, SIZE, 4, tf.constant([1, 2], tf.int64)).numpy()
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=np.repeat(image[None], 4, 0),
        transforms=transforms,
        output_shape=[SIZE, SIZE],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    ).numpy()
    for one, (a0, a1, a2, b0, b1, b2, *_) in zip(moved, transforms, strict=True):
        matrix, offset = np.array([[b1, b0], [a1, a0]]), [b2, a2]
        for channel in range(3):
            expected = affine_transform(image[..., channel], matrix, offset, order=1, mode="nearest")
            inner = np.abs(expected - one[..., channel])
            assert np.median(inner) < 0.01
            assert inner.mean() < 0.2


def test_the_drawn_parameters_fill_their_ranges():
    only = {
        "rotation": Augmentation(rotation=180.0),
        "shift": Augmentation(shift=0.1),
        "zoom": Augmentation(zoom=0.1),
    }
    drawn = {
        name: affine_transforms(one, 100, 2000, tf.constant([1, 2], tf.int64)).numpy().astype(float)
        for name, one in only.items()
    }
    angles = np.degrees(np.arctan2(drawn["rotation"][:, 3], drawn["rotation"][:, 0]))
    assert angles.min() < -175
    assert angles.max() > 175
    assert abs(np.mean(angles)) < 10
    for column in (2, 5):
        shifts = drawn["shift"][:, column]
        assert -10.0 <= shifts.min() < -9.8
        assert 9.8 < shifts.max() <= 10.0
    scales = drawn["zoom"][:, [0, 4]]
    assert 0.8999 < scales.min() < 0.901
    assert 1.099 < scales.max() < 1.1001
    assert abs(np.corrcoef(scales.T)[0, 1]) < 0.1


def test_the_centre_stays_and_edges_are_continued():
    image = np.zeros((1, SIZE + 1, SIZE + 1, 3), np.uint8)
    image[0, SIZE // 2, SIZE // 2] = 200
    turned = Augmenter(Augmentation(rotation=180.0), size=SIZE + 1)(image).numpy()
    assert (turned[0, SIZE // 2, SIZE // 2] >= 199).all()
    flat = np.full((4, SIZE, SIZE, 3), 77, np.uint8)
    np.testing.assert_array_equal(Augmenter(PAPERS, size=SIZE)(flat).numpy(), flat)


def test_brightness_is_kept():
    images = np.stack([picture(SIZE, SIZE, seed) for seed in range(64)])
    moved = Augmenter(Augmentation(rotation=180.0), size=SIZE)(images).numpy()
    assert abs(float(moved.mean()) - float(images.mean())) < 2.0
    noise = np.random.default_rng(0).integers(0, 256, (32, SIZE, SIZE, 3), np.uint8)
    shifted = Augmenter(Augmentation(shift=0.1), size=SIZE)(noise).numpy()
    assert abs(float(shifted.mean()) - float(noise.mean())) < 0.35


def test_cutout_cuts_one_black_square_of_the_given_side():
    white = np.full((16, SIZE, SIZE, 3), 255, np.uint8)
    holes = Augmenter(Augmentation(cutout=10), size=SIZE)(white).numpy()
    places = set()
    for image in holes:
        rows, columns = np.nonzero((image == 0).all(-1))
        assert len(rows) == 100
        assert np.ptp(rows) == np.ptp(columns) == 9
        assert set(np.unique(image)) == {0, 255}
        places.add((rows.min(), columns.min()))
    assert len(places) > 10


def test_several_holes_lie_in_different_places():
    white = np.full((8, SIZE, SIZE, 3), 255, np.uint8)
    holes = Augmenter(Augmentation(cutout=6, cutout_holes=3), size=SIZE)(white).numpy()
    black = (holes == 0).all(-1).sum((1, 2))
    assert (black > 36).all()
    assert (black <= 108).all()


def test_randaugment_of_no_strength_changes_little_but_by_its_fixed_operations(batch):
    gentle = Augmenter(Augmentation(randaugment=1, randaugment_magnitude=0.0), size=SIZE)(batch).numpy()
    strong = Augmenter(Augmentation(randaugment=1, randaugment_magnitude=1.0), size=SIZE)(batch).numpy()
    change = [np.median(np.abs(other.astype(int) - batch).mean((1, 2, 3))) for other in (gentle, strong)]
    assert change[0] < 1.0 < change[1]


def test_the_last_smaller_batch_can_be_augmented(augmenters, batch):
    for augmenter in augmenters.values():
        assert augmenter(batch[:1], 0, 9).shape == (1, SIZE, SIZE, 3)


def test_a_mixed_precision_policy_does_not_coarsen_images(batch):
    import keras

    expected = Augmenter(AUGMENTATIONS["cutout"], size=SIZE)(batch).numpy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = Augmenter(AUGMENTATIONS["cutout"], size=SIZE)(batch).numpy()
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(mixed, expected)


def test_the_papers_set_is_theirs():
    assert Augmentation(rotation=180, shift=0.1, zoom=0.1, horizontal_flip=True, vertical_flip=True) == PAPERS
    assert not AUGMENTATIONS["none"]


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation": 181},
        {"rotation": "180"},
        {"shift": -0.1},
        {"zoom": 1.0},
        {"zoom": True},
        {"horizontal_flip": 1},
        {"randaugment": 1.5},
        {"randaugment_magnitude": 2},
        {"cutout": -1},
        {"cutout_holes": 0},
        {"shift": float("nan")},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(UsageError, match=f"`{next(iter(settings))}` must be"):
        Augmentation(**settings)


def test_a_hole_larger_than_the_image_is_refused():
    with pytest.raises(UsageError, match="at most the image size 48"):
        Augmenter(Augmentation(cutout=49), size=SIZE)
