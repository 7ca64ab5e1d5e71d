"""Tensors in the plane memory.

A word has as many bits as a tile has rows. It holds one bit plane of neighbouring channels of one
pixel, or of several pixels that lie side by side where a pixel has few channels::

    address = first + ((image * height + y) * planes + plane) * row_words + x * pitch / bits

``pitch`` is how many bits a pixel takes in a plane: a power of two below a word's bits, or whole
words. Unused bits are 0.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Place of a tensor's bits in its part of the plane memory."""

    word_bits: int
    """Bits of a word."""
    channels: int
    height: int
    width: int
    planes: int
    """Bit planes: the bits of an activation."""
    signed: bool
    """True if the top plane is negative."""

    @property
    def pitch(self) -> int:
        """Bits of a pixel in a plane."""
        return pitch_of(self.channels, self.word_bits)

    @property
    def row_words(self) -> int:
        """Words of a plane of a row."""
        return row_words(self.width, self.pitch, self.word_bits)

    @property
    def image_words(self) -> int:
        """Words of an image."""
        return self.height * self.planes * self.row_words

    def pack(self, tensor: np.ndarray) -> np.ndarray:
        """Return the bytes of tensors (N, C, H, W): uint8 (N, image_words, word_bits / 8)."""
        images, channels, height, width = tensor.shape
        pixels = np.zeros((images, height, self.row_words * self.word_bits), dtype=np.int64)
        row = pixels[..., : width * self.pitch].reshape(images, height, width, self.pitch)
        row[..., :channels] = tensor.transpose(0, 2, 3, 1)
        planes = [(pixels >> plane & 1).astype(np.uint8) for plane in range(self.planes)]
        bits = np.stack(planes, axis=2)  # (N, H, planes, bits of a row)
        packed = np.packbits(bits, axis=-1, bitorder="little")
        return packed.reshape(images, self.image_words, self.word_bits // 8)

    def unpack(self, words: np.ndarray) -> np.ndarray:
        """Undo ``pack``: uint8 (N, image_words, word_bits / 8) to int64 (N, C, H, W)."""
        pixels = integers(words, self.height, self.planes, self.signed)
        row = pixels[..., : self.width * self.pitch]
        row = row.reshape(len(words), self.height, self.width, self.pitch)
        return row[..., : self.channels].transpose(0, 3, 1, 2)


def pitch_of(channels: int, word_bits: int) -> int:
    """Return the bits that a pixel of so many channels takes in a plane."""
    if channels >= word_bits:
        return -(-channels // word_bits) * word_bits
    return 1 << (channels - 1).bit_length()


def row_words(width: int, pitch: int, word_bits: int) -> int:
    """Return the words of a plane of a row of pixels."""
    return -(-width * pitch // word_bits)


def integers(words: np.ndarray, height: int, planes: int, signed: bool) -> np.ndarray:
    """Return the integers whose planes words hold.

    Takes uint8 (N, height * planes * words of a row, bytes of a word) and returns int64
    (N, height, bits of a row).
    """
    images = len(words)
    bits = np.unpackbits(words.reshape(images, height, planes, -1), axis=-1, bitorder="little")
    weights = 1 << np.arange(planes, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    rows: np.ndarray = np.einsum("nhpb,p->nhb", bits, weights)
    return rows
