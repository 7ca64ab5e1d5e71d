"""Every kind of encoded image: the rule it is decoded by, or the error that names it."""

import io

import numpy as np
import pytest
from PIL import Image

from adq.data.decoding import ImageError, decode

SHAPE = (3, 32, 32)
GREYS = np.arange(1024, dtype=np.uint16).reshape(32, 32)
"""Every pixel another value."""


def encode(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def colours(seed: int = 1, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, channels), dtype=np.uint8)


def pixels(encoded: bytes) -> np.ndarray:
    """(H, W, C)"""
    return decode(encoded, SHAPE).transpose(1, 2, 0)


def repeated(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def test_rgb_and_grey_stay():
    image = colours()
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(image))), image)
    np.testing.assert_array_equal(
        pixels(encode(Image.fromarray(image[..., 0]))), repeated(image[..., 0])
    )


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_greys_keep_their_upper_8_bits(form):
    values = GREYS * 64
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    found = pixels(encode(image, form))
    np.testing.assert_array_equal(found, repeated(values // 256))
    assert len(np.unique(found)) == 256  # not one value for nearly all


def test_16_bit_greys_of_the_other_byte_order():
    image = Image.frombytes("I;16B", (32, 32), (GREYS * 64).astype(">u2").tobytes())
    np.testing.assert_array_equal(pixels(encode(image, "TIFF")), repeated(GREYS * 64 // 256))


@pytest.mark.parametrize(
    ("values", "mode"),
    [(GREYS.astype(np.int32) * 70000, "I"), (GREYS.astype(np.float32) / 1023, "F")],
)
def test_what_has_no_8_bit_form_is_refused_by_name(values, mode):
    image = Image.fromarray(values)
    assert image.mode == mode
    with pytest.raises(ImageError, match=f"is of mode {mode}, which has no 8-bit form: convert it"):
        pixels(encode(image, "TIFF"))


def test_lab_is_refused_by_name():
    image = Image.frombytes("LAB", (32, 32), colours().tobytes())
    with pytest.raises(ImageError, match="is of mode LAB"):
        pixels(encode(image, "TIFF"))


def test_one_bit():
    bits = GREYS % 3 == 0
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(bits))), repeated(bits * 255))


def test_a_palette_becomes_its_colours():
    indices = (GREYS % 4).astype(np.uint8)
    palette = np.array([[9, 8, 7], [200, 0, 0], [0, 100, 3], [1, 2, 250]], np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putdata(indices.flatten())
    image.putpalette(palette.flatten().tolist())
    np.testing.assert_array_equal(pixels(encode(image)), palette[indices])
    # The same with one colour transparent: it is black.
    seen = palette.copy()
    seen[1] = 0
    np.testing.assert_array_equal(pixels(encode(image, transparency=1)), seen[indices])
    np.testing.assert_array_equal(pixels(encode(image, "GIF", transparency=1)), seen[indices])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_black(mode):
    drawn = colours(channels=4 if mode == "RGBA" else 2)
    drawn[0, 0, -1], drawn[0, 1, -1] = 0, 255
    image = Image.frombytes(mode, (32, 32), drawn.tobytes())
    alpha = drawn[..., -1:].astype(float) / 255
    expected = drawn[..., :-1] * alpha * np.ones(3)
    found = pixels(encode(image)).astype(float)
    assert np.abs(found - expected).max() <= 1
    assert not found[0, 0].any()
    assert (found[0, 1] == drawn[0, 1, :-1]).all()


def test_a_colour_that_stands_for_transparent_is_black():
    image = colours()
    image[:5] = (10, 20, 30)
    expected = image.copy()
    expected[:5] = 0
    encoded = encode(Image.fromarray(image), transparency=(10, 20, 30))
    np.testing.assert_array_equal(pixels(encoded), expected)


def test_cmyk():
    # c, m, y and k of 0 to 255: red is (255 - c) * (255 - k) / 255
    inks = colours(channels=4)
    image = Image.frombytes("CMYK", (32, 32), inks.tobytes())
    ink = inks.astype(float)
    expected = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    assert np.abs(pixels(encode(image, "TIFF")) - expected).max() <= 1
    flat = Image.new("CMYK", (32, 32), (0, 255, 255, 0))  # red
    assert np.abs(pixels(encode(flat, "JPEG")).astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_photographs_are_upright(orientation, upright):
    stored = np.random.default_rng(3).integers(0, 256, (20, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(Image.fromarray(stored), "PNG", exif=exif)
    expected = upright(stored)
    found = decode(encoded, (3, *expected.shape[:2])).transpose(1, 2, 0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(form):
    frames = [Image.fromarray(colours(seed)) for seed in (1, 2, 3)]
    encoded = encode(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="has 3 frames, which are several"):
        pixels(encoded)
    pixels(encode(frames[0], form, save_all=True))  # one is one


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "of no known format"),
        (b"this is a text named image.png", "of no known format"),
        (encode(Image.fromarray(colours()))[:500], "cannot be decoded"),
        (encode(Image.fromarray(colours()), "JPEG")[:500], "cannot be decoded"),
        (encode(Image.new("RGB", (32, 31))), "has 32 x 31 pixels, not 32 x 32"),
    ],
)
def test_what_is_no_image(encoded, message):
    with pytest.raises(ImageError, match=message):
        pixels(encoded)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_damaged_bytes_are_an_image_or_an_error(form):
    rng = np.random.default_rng(7)
    good = bytearray(encode(Image.fromarray(colours()), form))
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.integers(0, min(len(good), 300), 3):
            damaged[place] = rng.integers(256)
        try:
            found = decode(bytes(damaged), SHAPE).shape
        except ImageError as error:
            found = str(error)
        assert found == SHAPE or "\n" not in found


def test_one_channel():
    image = colours()[..., 0]
    np.testing.assert_array_equal(decode(encode(Image.fromarray(image)), (1, 32, 32))[0], image)
