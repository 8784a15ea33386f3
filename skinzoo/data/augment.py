"""Augmentation on the fly: uint8 batches in, uint8 batches out, a pure function of (seed, epoch, step).

The papers' set is one affine map for each image in one operation on the whole batch, after Keras 2's
`ImageDataGenerator`, which they used. Measured on two cores at 224 pixels, that is three times faster than a
chain of Keras's RandomFlip, RandomRotation, RandomTranslation and RandomZoom, and interpolates once rather
than three times. CutOut and the operations of RandAugment are Keras's own layers.

What is deterministic and must also happen at inference, colour constancy and hair removal, is no
augmentation: it is part of `skinzoo.data.decode`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skinzoo.data.order import check_seed
from skinzoo.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training images, in this order.

    Args:
        rotation: Largest angle in degrees, to both sides.
        shift: Largest shift to each side, as a share of height and width.
        zoom: Height and width are scaled each by its own factor from `1 - zoom` to `1 + zoom`.
        horizontal_flip: Mirror left and right in half of the cases.
        vertical_flip: Mirror top and bottom in half of the cases.
        quarter_turns: Turn by 0, 90, 180 or 270 degrees, each as often as the others; no pixel is invented.
        randaugment: Number of operations of RandAugment (Cubuk et al. 2020), drawn for each image; 0 for
            none.
        randaugment_magnitude: Strength of these operations, from 0 to 1.
        cutout: Side of the square hole of CutOut (DeVries and Taylor 2017) in pixels; 0 for none. The hole is
            black and lies inside the image.
        cutout_holes: Number of holes.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    quarter_turns: bool = False
    randaugment: int = 0
    randaugment_magnitude: float = 0.5
    cutout: int = 0
    cutout_holes: int = 1

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "rotation": (0, 180),
            "shift": (0, 1),
            "zoom": (0, 0.9),
            "randaugment": (0, 10),
            "randaugment_magnitude": (0, 1),
            "cutout": (0, 4096),
            "cutout_holes": (1, 100),
        }
        for name, (low, high) in limits.items():
            value: Any = getattr(self, name)
            whole = name in ("randaugment", "cutout", "cutout_holes")
            wanted: Any = int if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise UsageError(f"`{name}` must be {kind} from {low} to {high}. Received: {value!r}.")
        for name in ("horizontal_flip", "vertical_flip", "quarter_turns"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"`{name}` must be true or false. Received: {getattr(self, name)!r}.")

    @property
    def is_affine(self) -> bool:
        """Whether images are moved at all."""
        flips = self.horizontal_flip or self.vertical_flip or self.quarter_turns
        return bool(self.rotation or self.shift or self.zoom or flips)

    def __bool__(self) -> bool:
        return self.is_affine or self.randaugment > 0 or self.cutout > 0


PAPERS = Augmentation(rotation=180.0, shift=0.1, zoom=0.1, horizontal_flip=True, vertical_flip=True)
"""The set of Datta et al. 2021 and Nguyen et al. 2022, with nearest fill."""

AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "none": Augmentation(),
        "flips": Augmentation(horizontal_flip=True, vertical_flip=True),
        "dihedral": Augmentation(horizontal_flip=True, vertical_flip=True, quarter_turns=True),
        "papers": PAPERS,
        "cutout": Augmentation(
            rotation=180.0, shift=0.1, zoom=0.1, horizontal_flip=True, vertical_flip=True, cutout=16
        ),
        "randaugment": Augmentation(horizontal_flip=True, vertical_flip=True, randaugment=2),
    }
)
"""Ready-made sets by name."""


class Augmenter:
    """Applies an Augmentation to batches; can be called eagerly, in `tf.data` and in a `tf.function`.

    Args:
        augmentation: What to do.
        size: Height and width of the images in pixels.
        seed: Whole number from 0.
    """

    def __init__(self, augmentation: Augmentation, *, size: int, seed: int = 0) -> None:
        check_seed(seed)
        if augmentation.cutout > size:
            raise UsageError(
                f"`cutout` must be at most the image size {size}. Received: {augmentation.cutout}."
            )
        self.augmentation = augmentation
        self.size = size
        self.seed = int(seed)
        strength = augmentation.randaugment_magnitude
        self._operations = _randaugment_operations(strength) if augmentation.randaugment else ()
        self._hole = _hole_layer(augmentation, size) if augmentation.cutout else None

    def __call__(self, images: Any, epoch: Any = 0, step: Any = 0) -> tf.Tensor:
        """Augment a batch.

        Args:
            images: uint8 RGB of shape `(batch, size, size, 3)`.
            epoch: Number of the epoch, a whole number or a scalar integer tensor.
            step: Number of the batch in its epoch.

        Returns:
            uint8 tensor of the same shape; the same one for the same images, seed, epoch and step.
            Called eagerly rather than in a graph, one pixel in many thousands may be a grey level off, by the
            order of float operations.
        """
        import tensorflow as tf

        # There is no Python control flow to convert, and AutoGraph cannot read all of Keras's layers.
        return tf.autograph.experimental.do_not_convert(self._augment)(images, epoch, step)

    def _augment(self, images: Any, epoch: Any, step: Any) -> tf.Tensor:
        import tensorflow as tf

        images = tf.convert_to_tensor(images, tf.uint8)
        key = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(epoch, tf.int64)])
        key = tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int64), alg="philox")
        if self.augmentation.is_affine:
            images = self._move(images, _fold(key, 0))
        if self._operations:
            images = self._randaugment(images, _fold(key, 1))
        if self._hole is not None:
            for hole in range(self.augmentation.cutout_holes):
                images = _as_bytes(_apply(self._hole, images, _fold(key, 2 + hole)))
        return images

    def _move(self, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        # The operation cuts off fractions of uint8 images, which would darken them by half a grey level.
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),
            transforms=affine_transforms(self.augmentation, self.size, tf.shape(images)[0], key),
            output_shape=[self.size, self.size],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )
        return tf.ensure_shape(_as_bytes(moved), images.shape)

    def _randaugment(self, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Draw and apply operations for each image; Keras's own RandAugment draws one for the whole batch.

        It also computes all operations and keeps one, at a tenth of this speed.
        """
        import tensorflow as tf

        count = self.augmentation.randaugment
        shape = (1, self.size, self.size, 3)

        def branch(operation: Any, pixels: tf.Tensor, key: tf.Tensor) -> Any:
            return lambda: tf.ensure_shape(operation(pixels, key), shape)

        def one(image_and_key: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            image, own = image_and_key
            pixels = tf.cast(image, tf.float32)[tf.newaxis]
            chosen = tf.random.stateless_uniform(
                (count,), own, 0, len(self._operations), tf.int32, alg="philox"
            )
            for number in range(count):
                its_key = _fold(own, number)
                pixels = tf.switch_case(
                    chosen[number], [branch(operation, pixels, its_key) for operation in self._operations]
                )
            return _as_bytes(pixels[0])

        keys = tf.random.stateless_uniform((tf.shape(images)[0], 2), key, None, None, tf.int64, alg="philox")
        result = tf.map_fn(one, (images, keys), fn_output_signature=tf.TensorSpec(shape[1:], tf.uint8))
        return tf.ensure_shape(result, images.shape)


def affine_transforms(augmentation: Augmentation, size: int, batch: Any, key: tf.Tensor) -> tf.Tensor:
    """Draw the maps from output to input pixels.

    With centred coordinates, input = rotate(shift(scale(flip(output)))), the order of `ImageDataGenerator`.

    Args:
        augmentation: Ranges.
        size: Height and width in pixels.
        batch: Number of images.
        key: int64 seed of shape `(2,)`.

    Returns:
        float32 tensor `(batch, 8)` as `ImageProjectiveTransformV3` takes it.
    """
    import tensorflow as tf

    def uniform(number: int, limit: float, around: float = 0.0) -> tf.Tensor:
        low, high = around - limit, around + limit
        return tf.random.stateless_uniform((batch,), _fold(key, number), low, high, alg="philox")

    def sign(number: int, flip: bool) -> tf.Tensor:
        drawn = tf.where(uniform(number, 1.0) < 0.0, -1.0, 1.0)
        return drawn if flip else tf.ones_like(drawn)

    angle = uniform(0, augmentation.rotation * 3.141592653589793 / 180.0)
    if augmentation.quarter_turns:
        angle += tf.floor(uniform(7, 2.0, 2.0)) * 1.5707963267948966
    shift_x, shift_y = uniform(1, augmentation.shift * size), uniform(2, augmentation.shift * size)
    scale_x = uniform(3, augmentation.zoom, 1.0) * sign(5, augmentation.horizontal_flip)
    scale_y = uniform(4, augmentation.zoom, 1.0) * sign(6, augmentation.vertical_flip)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    a0, a1 = cosine * scale_x, -sine * scale_y
    b0, b1 = sine * scale_x, cosine * scale_y
    centre = (size - 1) / 2
    a2 = cosine * shift_x - sine * shift_y + centre - (a0 + a1) * centre
    b2 = sine * shift_x + cosine * shift_y + centre - (b0 + b1) * centre
    zero = tf.zeros_like(angle)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)


def _randaugment_operations(strength: float) -> tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], ...]:
    from keras import layers

    pixels = {"value_range": (0, 255), "dtype": "float32"}
    moves = {"fill_mode": "nearest", "dtype": "float32"}
    # At strength 1 these are the strongest levels of the RandAugment paper, where Keras means the same by
    # them.
    keras_layers = (
        layers.RandomShear(0.3 * strength, 0.3 * strength, **moves),
        layers.RandomTranslation(0.3 * strength, 0.3 * strength, **moves),
        layers.RandomRotation(30.0 / 360.0 * strength, **moves),
        layers.RandomBrightness(0.4 * strength, **pixels),
        layers.RandomColorDegeneration(0.9 * strength, **pixels),
        layers.RandomContrast(0.9 * strength, **pixels),
        layers.RandomSharpness((0.5 - 0.5 * strength, 0.5 + 0.5 * strength), **pixels),
        layers.RandomPosterization((8 - round(4 * strength), 8), **pixels),
        layers.AutoContrast(**pixels),
        layers.Equalization(**pixels),
    )
    return (*(partial(_apply, layer) for layer in keras_layers), partial(_solarize, strength))


def _solarize(strength: float, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Invert what is brighter than a threshold that sinks with the strength.

    Keras's Solarization (3.15) takes the lower bound of the threshold for a grey level and the upper one for
    a share of 255, so that weak solarization cannot be asked of it.
    """
    import tensorflow as tf

    shape = (tf.shape(images)[0], 1, 1, 1)
    threshold = tf.random.stateless_uniform(shape, key, 255.0 * (1.0 - strength), 256.0, alg="philox")
    return tf.where(images < threshold, images, 255.0 - images)


def _hole_layer(augmentation: Augmentation, size: int) -> Any:
    from keras import layers

    area = (augmentation.cutout / size) ** 2
    return layers.RandomErasing(
        factor=(1.0, 1.0), scale=(area, area), fill_value=0.0, value_range=(0, 255), dtype="float32"
    )


def _apply(layer: Any, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Call a random Keras layer with our key in the place of its own, stateful generator."""
    import tensorflow as tf

    keys = _keys(key)
    layer._get_seed_generator = lambda backend=None: keys
    return tf.cast(layer(tf.cast(images, tf.float32), training=True), tf.float32)


def _keys(key: tf.Tensor) -> Any:
    import keras

    class Keys(keras.random.SeedGenerator):
        """Hands out keys that are folded from one, without a variable."""

        def __init__(self) -> None:
            self.drawn = 0

        def next(self, ordered: bool = True) -> tf.Tensor:
            self.drawn += 1
            return _fold(key, self.drawn)

    return Keys()


def _fold(key: tf.Tensor, number: int) -> tf.Tensor:
    import tensorflow as tf

    return tf.random.experimental.stateless_fold_in(key, tf.constant(number, tf.int64), alg="philox")


def _as_bytes(pixels: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.cast(tf.clip_by_value(pixels + 0.5, 0.0, 255.0), tf.uint8)
