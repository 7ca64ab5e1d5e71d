"""Thresholds: activations of one or two bits, by comparing sums in place of multiplying them.

``clamp((sum * M + constant) >> S)`` never falls, or never rises, where the sum rises. So it is the
format's least number and one for each of up to three thresholds that the sum has reached.
"""

import numpy as np

from adq.golden.platform.planning.steps import Step
from adq.rtl.platform.descriptors import Mode
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["compared", "has_thresholds", "threshold_records"]

_BITS = PlatformParameters.threshold_bits
_LEAST, _MOST = -(1 << _BITS - 1), (1 << _BITS - 1) - 1
_FALLING = np.uint32(1 << _BITS)

_RECORD = np.dtype([("first", "<u4"), ("unused", "<u4"), ("second", "<u4"), ("third", "<u4")])
_NAMES = ("first", "second", "third")


def has_thresholds(step: Step) -> bool:
    """Return whether a step's activations can be told by thresholds.

    Sums have a bit less than thresholds, so that there is one that no sum reaches.
    """
    return (
        step.mode == Mode.REQUANTIZE
        and step.skip is None
        and step.target is not None
        and step.target.buffer.layout.planes <= PlatformParameters.threshold_planes
        and step.accumulator_bits < _BITS
    )


def threshold_records(step: Step) -> bytes:
    """Return the thresholds of each output of a step that has some: 16 bytes each."""
    assert step.target is not None
    layout = step.target.buffer.layout
    lowest = -(1 << layout.planes - 1) if layout.signed else 0
    records = np.zeros(step.outputs, dtype=_RECORD)
    reached = [lowest + count for count in range(1, 1 << layout.planes)]
    for output in range(step.outputs):
        multiplier, constant = int(step.multiplier[output]), int(step.constant[output])
        falling = multiplier < 0
        for place, name in enumerate(_NAMES):
            # Never reached; of an output that falls, always.
            threshold = _LEAST if falling else _MOST
            if place < len(reached):
                # The sum's product, and what it has to be at least.
                least = (reached[place] << step.shift) - constant
                if multiplier > 0:
                    threshold = -(-least // multiplier)
                elif falling:
                    threshold = least // multiplier + 1
                elif least <= 0:
                    threshold = _LEAST
            threshold = min(max(threshold, _LEAST), _MOST)
            records[name][output] = threshold & ((1 << _BITS) - 1)
        records["first"][output] |= _FALLING * falling
    return records.tobytes()


def compared(sums: np.ndarray, records: bytes, *, planes: int, signed: bool) -> np.ndarray:
    """Return activations of sums, int64 (V, O), by the records of their outputs."""
    found = np.frombuffer(records, dtype=_RECORD)
    falling = found["first"] & _FALLING != 0
    count = np.zeros(sums.shape, dtype=np.int64)
    for name in _NAMES[: (1 << planes) - 1]:
        bits = found[name].astype(np.int64) & ((1 << _BITS) - 1)
        threshold = np.where(bits > _MOST, bits - (1 << _BITS), bits)
        count += (sums >= threshold) ^ falling
    return count - ((1 << planes - 1) if signed else 0)
