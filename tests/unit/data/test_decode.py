import io
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture, table_of
from PIL import Image

from skinzoo.data.cache import cached_images
from skinzoo.data.decode import PREPROCESSING, Decoding, decode, decode_batch, resize_image
from skinzoo.errors import UsageError

tf = pytest.importorskip("tensorflow")

SIZES = ((200, 150), (600, 450))


@pytest.mark.parametrize("resize", ["squash", "crop"])
@pytest.mark.parametrize("preprocessing", [(), PREPROCESSING])
def test_cache_eager_call_and_saved_model_give_the_same_pixels(tmp_path, resize, preprocessing):
    decoding = Decoding(size=224, resize=resize, preprocessing=preprocessing)
    tables = [table_of(tmp_path / f"{width}", 2, width, height) for width, height in SIZES]
    table = tables[0].copy()
    table.loc[1, "image_path"] = tables[1]["image_path"][0]
    contents = [Path(path).read_bytes() for path in table["image_path"]]
    cached = np.asarray(cached_images(table, decoding, folder=tmp_path / "cache").images)

    eager = np.stack([decode(one, decoding).numpy() for one in contents])

    module = tf.Module()
    module.serve = tf.function(
        lambda batch: decode_batch(batch, decoding), input_signature=[tf.TensorSpec((None,), tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(tf.constant(contents)).numpy()

    assert cached.shape == (2, 224, 224, 3)
    assert cached.dtype == eager.dtype == served.dtype == np.uint8
    np.testing.assert_array_equal(cached, eager)
    np.testing.assert_array_equal(served, eager)
    assert not np.array_equal(eager[0], eager[1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_formats_decode_as_pillow_does(kind):
    contents = encoded(picture(64, 64), kind)
    expected = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
    np.testing.assert_array_equal(decode(contents, Decoding(size=64)).numpy(), expected)


def test_the_first_frame_of_a_gif_counts():
    first, second = Image.fromarray(picture(32, 32, 1)), Image.fromarray(picture(32, 32, 2))
    both = encoded(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(
        decode(both, Decoding(size=32)).numpy(), decode(encoded(first, "GIF"), Decoding(size=32)).numpy()
    )


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1"])
def test_modes_are_converted_as_pillow_converts_them(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    contents = encoded(Image.fromarray(picture(48, 48)).convert(mode), kind)
    expected = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
    np.testing.assert_array_equal(decode(contents, Decoding(size=48)).numpy(), expected)


def test_sixteen_bits_keep_the_upper_eight():
    grey = picture(32, 32)[..., 0]
    contents = encoded(Image.fromarray(grey.astype(np.uint16) * 256 + 37), "PNG")
    np.testing.assert_array_equal(
        decode(contents, Decoding(size=32)).numpy(), np.repeat(grey[..., None], 3, axis=-1)
    )


def test_exif_orientation_is_ignored():
    image = Image.fromarray(picture(40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(
        decode(encoded(image, "JPEG", exif=exif), Decoding(size=40)).numpy(),
        decode(encoded(image, "JPEG"), Decoding(size=40)).numpy(),
    )


def test_crop_cuts_the_centre_as_smart_resize_does():
    import keras

    image = picture(201, 150)
    ours = resize_image(image, Decoding(size=299, resize="crop")).numpy().astype(float)
    theirs = np.asarray(keras.preprocessing.image.smart_resize(image.astype("float32"), (299, 299)))
    assert np.abs(ours - theirs).max() <= 0.51


def test_downscaling_is_antialiased():
    checkerboard = np.indices((448, 448)).sum(0) % 2 * 255
    image = np.repeat(checkerboard[..., None], 3, axis=-1).astype(np.uint8)
    small = resize_image(image, Decoding(size=100)).numpy()[10:-10, 10:-10]
    assert np.abs(small.astype(int) - 127).max() < 12


def test_one_picture_at_two_resolutions_looks_alike():
    large = Image.fromarray(picture(600, 450))
    small = large.resize((200, 150), Image.Resampling.BOX)
    decoding = Decoding(size=100)
    difference = resize_image(np.asarray(large), decoding) - resize_image(np.asarray(small), decoding)
    signed = np.abs(difference.numpy().astype(np.int8).astype(int))
    assert signed.mean() < 1.0


def test_shades_of_gray_removes_a_colour_cast():
    image = picture(64, 64)
    cast = np.clip(image * [0.95, 0.6, 0.8], 0, 255).astype(np.uint8)
    decoding = Decoding(size=64, preprocessing=("shades_of_gray",))
    ours, reference = resize_image(cast, decoding).numpy(), resize_image(image, decoding).numpy()
    assert chromaticity_distance(ours, reference) < chromaticity_distance(cast, image) / 10


def chromaticity_distance(one, other):
    shares = [picture.astype(float) / picture.sum(-1, keepdims=True) for picture in (one, other)]
    return np.abs(shares[0] - shares[1]).mean()


def test_hair_is_removed_and_the_rest_stays():
    skin = np.full((224, 224, 3), (220, 170, 160), np.uint8)
    skin[80:150, 80:150] = (120, 70, 60)
    hairy = skin.copy()
    for step in range(200):
        hairy[10 + step, 12 + step // 2 : 14 + step // 2] = (50, 40, 35)
    cleaned = resize_image(hairy, Decoding(size=224, preprocessing=("hair_removal",))).numpy()
    hair = (hairy != skin).any(-1)
    assert (
        np.abs(cleaned[hair].astype(int) - skin[hair]).mean()
        < 8
        < 60
        < np.abs(hairy[hair].astype(int) - skin[hair]).mean()
    )
    untouched = resize_image(skin, Decoding(size=224, preprocessing=("hair_removal",))).numpy()
    np.testing.assert_array_equal(untouched, skin)


@pytest.mark.parametrize("contents", [b"", b"not an image", encoded(picture(80, 60), "JPEG")[:900]])
def test_what_is_no_image_is_an_error(contents):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(contents, Decoding(size=32))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, "`size`"),
        ({"size": 2.5}, "`size`"),
        ({"size": True}, "`size`"),
        ({"size": 99999}, "`size`"),
        ({"size": 32, "resize": "sqush"}, "Did you mean 'squash'"),
        ({"size": 32, "preprocessing": ("hair",)}, "preprocessing"),
        ({"size": 32, "preprocessing": ("hair_removal", "hair_removal")}, "repeat"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Decoding(**settings)
