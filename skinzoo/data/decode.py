"""The one function from the bytes of an image file to a uint8 square; pure TensorFlow.

The cache, in-process prediction and an exported graph all call `decode`, so a model sees the same pixels
everywhere.

What is decided here:

* JPEG is decoded with `dct_method="INTEGER_ACCURATE"`: identical to Pillow, while TensorFlow's default is up
  to 4 grey levels off. PNG, BMP and the first frame of a GIF are decoded too. Grey images are repeated on
  three channels, CMYK is converted, palettes are resolved, 16 bits are cut to the upper 8 and an alpha
  channel is dropped.
* Resizing is bilinear on half-pixel centres, antialiased where a side gets smaller and plain where none does
  (there the antialiasing kernel would compute the same, slower). Without antialiasing a 600x450 file and a
  200x150 copy of it would look different to the model.
* The result is rounded half up to uint8.
* EXIF orientation is ignored, as by the papers' code: dermoscopic images have no upright position.
  `skinzoo.data.images.inspect` reports it, so that an audit can warn.
* Preprocessing works on the resized image, so it does not depend on the file's resolution. It is
  deterministic and part of this function; so it holds at inference as in training, and is never applied
  anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skinzoo.errors import UsageError, one_of

if TYPE_CHECKING:
    import tensorflow as tf

DECODE_VERSION = 1
"""Raised whenever `decode` gives other pixels for the same file, so that older caches are not used."""

RESIZE_MODES = ("squash", "crop")
PREPROCESSING = ("hair_removal", "shades_of_gray")
MAX_SIZE = 4096

MINKOWSKI_NORM = 6.0
"""The p of Shades of Gray (Gessert et al. 2020 after Finlayson and Trezzi 2004)."""

HAIR_THRESHOLD = 20.0
"""Grey levels by which a hair is darker than its surroundings."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How files become pixels.

    Args:
        size: Height and width of the result in pixels.
        resize: `squash` scales both sides to `size` and changes the aspect ratio; `crop` first cuts the
            largest centred square, as `keras.utils` `smart_resize` does in the code of Nguyen et al. 2022.
        preprocessing: Steps on the resized image, applied in this order: `hair_removal` (after DullRazor),
            `shades_of_gray` (colour constancy, p = 6).
    """

    size: int
    resize: str = "squash"
    preprocessing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 1 <= self.size <= MAX_SIZE:
            raise UsageError(f"`size` must be a whole number from 1 to {MAX_SIZE}. Received: {self.size!r}.")
        if self.resize not in RESIZE_MODES:
            raise one_of("resize", self.resize, RESIZE_MODES)
        for step in self.preprocessing:
            if step not in PREPROCESSING:
                raise one_of("preprocessing", step, PREPROCESSING)
        if len(set(self.preprocessing)) != len(self.preprocessing):
            raise UsageError(f"`preprocessing` must not repeat a step. Received: {self.preprocessing}.")

    def as_dict(self) -> dict[str, Any]:
        """Return all that determines the pixels, for cache keys and cards."""
        return {
            "size": self.size,
            "resize": self.resize,
            "preprocessing": list(self.preprocessing),
            "version": DECODE_VERSION,
        }


def decode(contents: tf.Tensor | bytes, decoding: Decoding) -> tf.Tensor:
    """Decode and resize one image file.

    Works eagerly, inside `tf.data`, and inside a `tf.function` that goes into a SavedModel. It runs on the
    CPU even in a graph on a GPU, whose resize rounds differently. Bytes from strangers should pass
    `skinzoo.data.images.inspect` first: a graph cannot name the file nor tell a bomb by its header.

    Args:
        contents: Scalar string tensor, the bytes of a JPEG, PNG, BMP or GIF file.
        decoding: Size, resize mode and preprocessing.

    Returns:
        uint8 RGB tensor of shape `(size, size, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are not an image that can be decoded.
    """
    import tensorflow as tf

    with tf.device("/CPU:0"):
        contents = tf.convert_to_tensor(contents, tf.string)
        image = tf.cond(
            tf.io.is_jpeg(contents),
            lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
        )
        return resize_image(image, decoding)


def decode_batch(contents: tf.Tensor, decoding: Decoding) -> tf.Tensor:
    """Decode a vector of image files.

    Args:
        contents: String tensor of shape `(batch,)`.
        decoding: Size, resize mode and preprocessing.

    Returns:
        uint8 RGB tensor of shape `(batch, size, size, 3)`.
    """
    import tensorflow as tf

    return tf.map_fn(
        lambda one: decode(one, decoding),
        contents,
        fn_output_signature=tf.TensorSpec((decoding.size, decoding.size, 3), tf.uint8),
    )


def resize_image(image: Any, decoding: Decoding) -> tf.Tensor:
    """Bring an image that is already decoded to the model's size, exactly as `decode` does.

    Args:
        image: uint8 RGB array or tensor of shape `(height, width, 3)`.
        decoding: Size, resize mode and preprocessing.

    Returns:
        uint8 RGB tensor of shape `(size, size, 3)`.
    """
    import tensorflow as tf

    with tf.device("/CPU:0"):
        image = tf.ensure_shape(tf.convert_to_tensor(image, tf.uint8), (None, None, 3))
        image = _resize(_centre_square(image) if decoding.resize == "crop" else image, decoding.size)
        for step in decoding.preprocessing:
            image = _STEPS[step](image)
        return tf.ensure_shape(image, (decoding.size, decoding.size, 3))


def _centre_square(image: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    shape = tf.shape(image)
    side = tf.minimum(shape[0], shape[1])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    import tensorflow as tf

    shrinks = tf.reduce_max(tf.shape(image)) > size
    resized = tf.cond(
        shrinks,
        lambda: tf.image.resize(image, (size, size), method="bilinear", antialias=True),
        lambda: tf.image.resize(image, (size, size), method="bilinear", antialias=False),
    )
    # Adding a half and cutting costs a third of `tf.round`, and bilinear weights keep the result within
    # 0..255.
    return tf.cast(tf.minimum(resized + 0.5, 255.0), tf.uint8)


def _shades_of_gray(image: tf.Tensor) -> tf.Tensor:
    """Scale the channels so that their Minkowski means agree (Finlayson and Trezzi 2004)."""
    import tensorflow as tf

    pixels = tf.cast(image, tf.float32) / 255.0
    illuminant = tf.reduce_mean(pixels**MINKOWSKI_NORM, axis=(0, 1)) ** (1.0 / MINKOWSKI_NORM)
    illuminant = tf.maximum(illuminant, 1.0 / 255.0)
    gain = tf.norm(illuminant) / (illuminant * tf.sqrt(3.0))
    return tf.cast(tf.clip_by_value(pixels * gain * 255.0 + 0.5, 0.0, 255.0), tf.uint8)


def _remove_hair(image: tf.Tensor) -> tf.Tensor:
    """Replace thin, long, dark lines by what surrounds them (after DullRazor, Lee et al. 1997).

    A grey closing with a short line fills what is darker and narrower than the line is long. Across a hair
    it fills, along a hair it does not: where closings in several directions differ by more than
    `HAIR_THRESHOLD`, something thin runs, and where it runs straight far enough, it is hair. Only the
    brightest channel is looked at, in which skin is bright, hair is dark, and vessels and pigment network are
    faint. Hairs become the mean of the hairless pixels around them. Coarse dark stripes of a lesion can be
    taken for hair, and light hair is not found.
    """
    import numpy as np
    import tensorflow as tf

    length = max(5, round(int(image.shape[0]) / 20) | 1)
    pixels = tf.cast(image, tf.float32)[tf.newaxis]
    brightest = tf.reduce_max(pixels, axis=-1, keepdims=True)
    across_it = tf.concat([_close(brightest, line) for line in _lines(length, 4)], axis=-1)
    along_it = tf.concat([_close(brightest, line) for line in _lines(length // 2 | 1, 8)], axis=-1)
    spread = tf.reduce_max(across_it, -1, keepdims=True) - tf.reduce_min(along_it, -1, keepdims=True)
    thin = tf.nn.max_pool2d(tf.cast(spread > HAIR_THRESHOLD, tf.float32), 3, 1, "SAME")
    reach = 2 * length + 1
    kernels = np.stack([line / line.sum() for line in _lines(reach, 8)], axis=-1)[:, :, np.newaxis]
    along = tf.nn.conv2d(thin, kernels.astype(np.float32), 1, "SAME")
    across = tf.roll(along, 4, axis=-1)
    long = tf.reduce_max(tf.cast((along > 0.9) & (across < 0.4), tf.float32), axis=-1, keepdims=True)
    hair = thin * tf.nn.max_pool2d(long, reach, 1, "SAME")
    kept = 1.0 - hair
    filled = pixels
    for window in (reach, length):
        share = tf.nn.avg_pool2d(kept, window, 1, "SAME")
        mean = tf.nn.avg_pool2d(pixels * kept, window, 1, "SAME") / tf.maximum(share, 1e-6)
        filled = tf.where((hair > 0.0) & (share > 1e-3), mean, filled)
    return tf.cast(tf.clip_by_value(filled[0] + 0.5, 0.0, 255.0), tf.uint8)


def _lines(length: int, directions: int) -> list[Any]:
    """Return masks `(length, length)` of lines through the centre, half a turn divided by `directions`."""
    import numpy as np

    steps = np.linspace(-1.0, 1.0, 4 * length) * (length // 2)
    masks = []
    for angle in np.arange(directions) * np.pi / directions:
        mask = np.zeros((length, length), bool)
        rows = np.rint(length // 2 + steps * np.sin(angle)).astype(int)
        columns = np.rint(length // 2 + steps * np.cos(angle)).astype(int)
        mask[rows, columns] = True
        masks.append(mask)
    return masks


def _close(grey: tf.Tensor, line: Any) -> tf.Tensor:
    """Close `(1, height, width, 1)` with a flat line, by shifts: six times faster than `tf.nn.dilation2d`."""
    import numpy as np
    import tensorflow as tf

    half = len(line) // 2
    height, width = grey.shape[1], grey.shape[2]
    for reduce in (tf.reduce_max, tf.reduce_min):
        padding = [[0, 0], [half, half], [half, half], [0, 0]]
        padded = tf.pad(grey, padding, constant_values=0.0 if reduce is tf.reduce_max else 255.0)
        shifted = [padded[:, y : y + height, x : x + width] for y, x in np.argwhere(line)]
        grey = reduce(tf.stack(shifted), axis=0)
    return grey


_STEPS: dict[str, Callable[[Any], Any]] = {"hair_removal": _remove_hair, "shades_of_gray": _shades_of_gray}
