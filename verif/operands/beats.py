"""Beats of the tile's ports as bytes, least significant first, and the conversion back to
integers.
"""

import numpy as np

from adq.rtl.interface import Status, job_layout
from adq.rtl.parameters import TileParameters

__all__ = ["Results", "activation_beats", "job_beat", "results_of", "weight_beats"]


def job_beat(
    parameters: TileParameters,
    *,
    weight_bits: int,
    activation_bits: int,
    signed: bool,
    vectors: int,
    row_blocks: int = 1,
) -> bytes:
    """Return the beat of a job, valid or malformed."""
    layout = job_layout(parameters)
    fields = {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "signed": signed,
        "vectors": vectors,
        "row_blocks": row_blocks,
    }
    bits: int = layout.const(fields).as_value().value  # type: ignore[attr-defined, arg-type]
    return bits.to_bytes(-(-layout.size // 8), "little")


def weight_beats(parameters: TileParameters, block: np.ndarray, weight_bits: int) -> np.ndarray:
    """Convert a block of weights (rows, outputs) to bytes (beats, bytes)."""
    rows, outputs = parameters.rows, parameters.outputs(weight_bits)
    if block.shape != (rows, outputs):
        raise ValueError(
            f"a block of {weight_bits}-bit weights is {(rows, outputs)}, not {block.shape}"
        )
    bits = (block[:, :, None] >> np.arange(weight_bits)) & 1  # (rows, outputs, weight bits)
    padded = np.zeros((parameters.weight_beats * parameters.rows_per_beat, parameters.columns))
    padded[:rows, : outputs * weight_bits] = bits.reshape(rows, -1)
    beats = padded.astype(np.uint8).reshape(parameters.weight_beats, -1)
    return np.packbits(beats, axis=1, bitorder="little")


def activation_beats(parameters: TileParameters, vectors: np.ndarray) -> np.ndarray:
    """Convert activations (vectors, rows) to bytes (vectors, 2 * rows)."""
    if vectors.shape[1:] != (parameters.rows,):
        raise ValueError(f"a vector has {parameters.rows} words, not {vectors.shape[1:]}")
    words = vectors.astype(np.int64).astype("<u2")  # two's complement, cut to a word
    return words.view(np.uint8).reshape(len(words), 2 * parameters.rows)


class Results:
    """Results of the tile.

    Attributes
    ----------
    lanes : int64 of shape (beats, lanes)
    last : bool of shape (beats,)
    status : list of :class:`adq.rtl.interface.Status`
    """

    def __init__(self, parameters: TileParameters, beats: np.ndarray):
        width = parameters.accumulator_width
        split = parameters.lanes * width
        bits = np.unpackbits(beats, axis=1, bitorder="little")
        lanes = bits[:, :split].reshape(-1, width)
        # Whole bytes again, a lane each, and its sign above them.
        words = np.zeros((len(lanes), 8), np.uint8)
        packed = np.packbits(lanes, axis=1, bitorder="little")
        words[:, : packed.shape[1]] = packed
        values = words.view("<i8")[:, 0]
        sign = np.int64(1) << (width - 1)
        self.lanes = ((values ^ sign) - sign).reshape(len(beats), parameters.lanes)
        self.last = bits[:, split].astype(bool)
        self.status = [
            Status(int(code)) for code in bits[:, split + 1 : split + 4] @ np.array([1, 2, 4])
        ]

    def outputs(self, weight_bits: int) -> np.ndarray:
        """Return the outputs of jobs of ``weight_bits``: int64 of shape (beats, outputs)."""
        return self.lanes[:, :: weight_bits // 2]


def results_of(parameters: TileParameters, lines: str) -> Results:
    """Parse results from lines of hexadecimal digits, one line per beat."""
    words = lines.split()
    if not words:
        return Results(parameters, np.zeros((0, result_bytes(parameters)), np.uint8))
    digits = 2 * result_bytes(parameters)
    octets = bytes.fromhex("".join(word.zfill(digits) for word in words))
    big_endian = np.frombuffer(octets, np.uint8).reshape(len(words), -1)
    return Results(parameters, big_endian[:, ::-1])


def result_bytes(parameters: TileParameters) -> int:
    """Return the number of bytes of a result beat."""
    return -(-(parameters.lanes * parameters.accumulator_width + 4) // 8)
