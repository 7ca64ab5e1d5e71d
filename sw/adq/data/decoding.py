"""Decoding of images to 8-bit pixels: the rule for each kind of image, or the reason for refusal.

Pillow's own conversion clips 16-bit greys to 255 and drops what it has no place for. Here every
mode has a rule:

======================================  ====================================================
mode                                    becomes
======================================  ====================================================
``1``, ``L``, ``RGB``                   itself; a bit is 0 or 255
``P`` without transparency              the colours of its palette
``LA``, ``La``, ``PA``, ``RGBA``,       its colours on black, by their opacity
``RGBa``, ``P``, ``L`` and ``RGB``
with transparency
``CMYK``, ``YCbCr``, ``HSV``            Pillow's conversion to RGB, without a colour profile
``I;16`` in any byte order, and ``I``   grey, the upper 8 of 16 bits
of a PNG or PPM file
any other (``I``, ``F``, ``LAB``)       refused
======================================  ====================================================

A picture is turned upright as its EXIF orientation says. An image of several frames or pages is
refused, except the previews that a camera adds to a photograph (MPO).
"""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import PIL
from PIL import Image, ImageOps

VERSION = 2
"""Version of these rules: images that other versions decoded and kept are decoded anew."""

_PLAIN = ("1", "L", "RGB", "P", "CMYK", "YCbCr", "HSV")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", "I", *_SIXTEEN_BITS)
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

LONGEST_SIDE = 4096
"""Pixels of a side of an image at most."""

_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Errors of Pillow's decoders where a file is damaged."""


class ImageError(ValueError):
    """An encoded image is damaged, has another size, or is of a kind without a rule."""


def decode(encoded: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode an image: uint8 (C, H, W), with 1 or 3 channels. ``shape`` is its required shape.

    Raises
    ------
    ImageError
        It cannot be decoded, has another size or several frames, or its mode has no rule.

    """
    channels, height, width = shape
    with _opened(encoded) as opened:
        found = _upright_size(opened)  # before anything is decoded
        if found != (width, height):
            raise ImageError(f"has {found[0]} x {found[1]} pixels, not {width} x {height}")
        frames = getattr(opened, "n_frames", 1)
        if frames > 1 and opened.format != "MPO":
            raise ImageError(f"has {frames} frames, which are several images")
        coloured = _to_rgb(ImageOps.exif_transpose(opened), opened.format)
        pixels = np.asarray(coloured if channels == 3 else coloured.convert("L"))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def shape_of(encoded: bytes) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of an upright image; nothing is decoded. C is 1 for greys, else 3.

    Raises
    ------
    ImageError
        It is no image, or a side is longer than ``LONGEST_SIDE``.

    """
    with _opened(encoded) as opened:
        width, height = _upright_size(opened)
        if max(width, height) > LONGEST_SIDE:
            raise ImageError(
                f"has {width} x {height} pixels: a side of at most {LONGEST_SIDE} can be trained on"
            )
        return (1 if opened.mode in _GREY else 3), height, width


@contextlib.contextmanager
def _opened(encoded: bytes) -> Iterator[Image.Image]:
    """Open an image; whatever its decoder raises in the context becomes an ImageError."""
    try:
        # Pillow warns of damage on which no pixel depends.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(encoded)) as opened:
            yield opened
    except ImageError:
        raise
    except PIL.UnidentifiedImageError:
        raise ImageError("cannot be decoded (of no known format)") from None
    except _FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"cannot be decoded ({reason})") from None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    sideways = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    return image.size[::-1] if sideways else image.size


def _to_rgb(image: Image.Image, form: str | None) -> Image.Image:
    mode = image.mode
    if mode in _ALPHA or (mode in _PLAIN and "transparency" in image.info):
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    if mode in _PLAIN:
        return image.convert("RGB")
    if mode in _SIXTEEN_BITS or (mode == "I" and form in ("PNG", "PPM")):
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    raise ImageError(f"is of mode {mode}, which has no 8-bit form: convert it to RGB")
