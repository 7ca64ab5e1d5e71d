"""Thresholds against the arithmetic that they stand for."""

import numpy as np
import pytest

from adq.golden.platform.planning.layout import Layout
from adq.golden.platform.planning.steps import Buffer, Pool, Step, View
from adq.golden.platform.planning.thresholds import compared, has_thresholds, threshold_records
from adq.rtl.platform.descriptors import Mode

pytestmark = pytest.mark.testpoint("platform.program")


def step(*, planes=2, signed=False, accumulator_bits=12, shift=5, outputs=1, **fields):
    """Return a step with a target of some format; what concerns its source is of no account."""
    layout = Layout(channels=outputs, height=1, width=1, planes=planes, signed=signed, word_bits=64)
    view = View(Buffer("target", layout), 0, outputs)
    given = {
        "multiplier": np.ones(outputs, np.int64),
        "constant": np.zeros(outputs, np.int64),
        "mode": Mode.REQUANTIZE,
        "skip": None,
    } | fields
    return Step(
        node="conv", first=0, source=view, weight=np.zeros((outputs, 1, 1, 1), np.int64), groups=1,
        channel=0, weight_bits=2, trained_bits=2, stride=(1, 1), padding=(0, 0), dilation=(1, 1),
        shape=(1, 1), accumulator_bits=accumulator_bits,
        skip_multiplier=np.zeros(outputs, np.int64), shift=shift, skip_shift=0, table=None,
        target=view, pool=Pool(), **given,
    )  # fmt: skip


def requantized(sum_, multiplier, constant, shift, planes, signed):
    """Return an activation by Python's integers."""
    least = -(1 << planes - 1) if signed else 0
    return min(max((sum_ * multiplier + constant) >> shift, least), least + (1 << planes) - 1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_every_sum_of_random_outputs(planes, signed, seed):
    rng = np.random.default_rng(seed)
    outputs, shift = 60, int(rng.integers(0, 14))
    span = 1 << int(rng.integers(1, 16))
    multiplier = rng.integers(-span, span, outputs)
    multiplier[:3] = 0, 1, -1
    constant = rng.integers(-(1 << 24), 1 << 24, outputs)
    constant[3:9] = 0, 1, -1, (1 << shift) - 1, -(1 << shift), 1 << 60
    made = step(
        planes=planes, signed=signed, shift=shift, outputs=outputs,
        multiplier=multiplier, constant=constant,
    )  # fmt: skip
    sums = np.arange(-(1 << 11), 1 << 11)
    found = compared(
        np.broadcast_to(sums[:, None], (len(sums), outputs)), threshold_records(made),
        planes=planes, signed=signed,
    )  # fmt: skip
    for output in range(outputs):
        given = int(multiplier[output]), int(constant[output])
        expected = [requantized(int(each), *given, shift, planes, signed) for each in sums]
        assert found[:, output].tolist() == expected, (output, given)
    assert len(np.unique(found)) == 1 << planes


@pytest.mark.parametrize(
    ("fields", "some"),
    [
        ({}, True),
        ({"planes": 1}, True),
        ({"planes": 3}, False),
        ({"accumulator_bits": 30}, True),
        ({"accumulator_bits": 31}, False),
        ({"mode": Mode.TABLE}, False),
        ({"skip": View(Buffer("skip", Layout(channels=1, height=1, width=1, planes=2,
                                             signed=False, word_bits=64)), 0, 1)}, False),
    ],
)  # fmt: skip
def test_which_steps_have_thresholds(fields, some):
    assert has_thresholds(step(**fields)) is some


def test_thresholds_at_the_ends_of_30_bits():
    ends = [-(1 << 29), -(1 << 29) + 1, (1 << 29) - 2, (1 << 29) - 1]
    for multiplier, constant in ((1, 0), (-1, 0), (1, -(1 << 29)), (-1, 1 << 29), (3, 1 << 40)):
        made = step(
            accumulator_bits=30, shift=0,
            multiplier=np.array([multiplier]), constant=np.array([constant]),
        )  # fmt: skip
        found = compared(np.array(ends)[:, None], threshold_records(made), planes=2, signed=False)
        expected = [requantized(each, multiplier, constant, 0, 2, False) for each in ends]
        assert found[:, 0].tolist() == expected
