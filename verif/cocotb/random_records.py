"""Random parameters, thresholds and tables of layers, as a program has them."""

import numpy as np

from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.results.thresholds import THRESHOLD_BITS

__all__ = ["random_records"]

_PARAMETERS = np.dtype(
    [("multiplier", "<i2"), ("skip", "<i2"), ("unused", "<i4"), ("constant", "<i8")]
)


def random_records(generator: np.random.Generator, layer: Layer) -> bytes:
    """Return the records of a layer: of its outputs, or its table."""
    if layer.mode == Mode.TABLE:
        return generator.bytes(2 << layer.source_planes)
    if layer.mode == Mode.THRESHOLDS:
        # Near the sums: thresholds of any size would hardly ever lie between two of them.
        span = 1 << int(generator.integers(1, layer.accumulator_bits + 1))
        words = generator.integers(-span, span, (layer.outputs, 4), dtype=np.int64)
        words &= (1 << THRESHOLD_BITS) - 1
        words[:, 1] = 0
        words[:, 0] |= generator.integers(0, 2, layer.outputs) << THRESHOLD_BITS
        return words.astype("<u4").tobytes()
    drawn = np.zeros(layer.outputs, dtype=_PARAMETERS)
    for name in ("multiplier", "skip"):
        drawn[name] = generator.integers(-(2**15), 2**15, layer.outputs)
    span = 1 << int(generator.integers(1, 30))
    drawn["constant"] = generator.integers(-span, span, layer.outputs)
    return drawn.tobytes()
