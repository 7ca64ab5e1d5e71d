from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adq.golden.network import ActivationFormat, NetworkError, Requantize
from adq.golden.requantize import (
    multiplier_and_shift,
    requantize,
    skip_multiplier_and_shift,
)

pytestmark = pytest.mark.testpoint("numbers.requantize")

NIBBLE = ActivationFormat(bits=4, signed=False, scale=1.0)
SIGNED = ActivationFormat(bits=8, signed=True, scale=1.0)


def requantized(
    accumulators, multiplier, shift, target=SIGNED, skip=None, skip_multiplier=None, skip_shift=0
):
    """Requantize one channel's list of accumulators."""
    parameters = Requantize(
        multiplier=np.array([multiplier]),
        shift=shift,
        format=target,
        skip=None if skip is None else "skip",
        skip_multiplier=None if skip is None else np.array([skip_multiplier]),
        skip_shift=skip_shift,
    )
    column = np.array(accumulators, dtype=np.int64).reshape(-1, 1)
    skip = None if skip is None else np.array(skip, dtype=np.int8).reshape(-1, 1)
    return requantize(column, parameters, skip).ravel().tolist()


def test_halves_round_up_on_both_sides_of_zero():
    assert requantized([-7, -6, -5, -2, -1, 0, 1, 2, 3], 1, 2) == [-2, -1, -1, 0, 0, 0, 0, 1, 1]


def test_without_shift_nothing_rounds():
    assert requantized([-3, 0, 3], -2, 0) == [6, 0, -6]


def test_output_clamps_to_its_format():
    assert requantized([-1000, 1000], 1, 0) == [-128, 127]
    assert requantized([-1, 0, 15, 16], 1, 0, target=NIBBLE) == [0, 0, 15, 15]


def test_skip_connection_joins_before_the_only_rounding():
    # Rounded alone, 1/4 and 1/4 would both vanish; together they are a half, which rounds up.
    assert requantized([1], 1, 2, skip=[1], skip_multiplier=1) == [1]
    assert requantized([1], 1, 2, skip=[0], skip_multiplier=1) == [0]


@given(
    accumulator=st.integers(-(2**46), 2**46),
    multiplier=st.integers(-(2**15), 2**15 - 1),
    skip=st.integers(-128, 127),
    factor=st.tuples(st.integers(-(2**15), 2**15 - 1), st.integers(0, 37))
    | st.tuples(st.integers(-(2**50), 2**50), st.just(0)),
    shift=st.integers(0, 61),
)
def test_equals_rational_arithmetic(accumulator, multiplier, skip, factor, shift):
    skip_multiplier, skip_shift = factor
    product = skip * skip_multiplier * 2**skip_shift
    exact = Fraction(accumulator * multiplier + product, 2**shift)
    expected = min(max(floor(exact + Fraction(1, 2)), -128), 127)
    assert requantized(
        [accumulator], multiplier, shift,
        skip=[skip], skip_multiplier=skip_multiplier, skip_shift=skip_shift,
    ) == [expected]  # fmt: skip


def test_skip_shift_by_hand():
    # 3 * 5 * 2^4 = 240, 240 / 2^3 = 30; a product below 0 moves up as well.
    assert requantized([0], 1, 3, skip=[3], skip_multiplier=5, skip_shift=4) == [30]
    assert requantized([0], 1, 3, skip=[3], skip_multiplier=-5, skip_shift=4) == [-30]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"skip_shift": -1}, "skip shift -1: it must be 0 to 62"),
        ({"skip_shift": 63}, "skip shift 63: it must be 0 to 62"),
        ({"skip_shift": 1}, "skip shift 1 without a skip connection: it must be 0"),
        (
            {"skip_shift": 1, "skip": "skip", "skip_multiplier": np.array([2**15])},
            "skip multipliers of more than 16 bits beside a skip shift of 1: one or the other",
        ),
    ],
)
def test_wrong_skip_shifts(fields, message):
    with pytest.raises(NetworkError) as error:
        Requantize(multiplier=np.array([1]), shift=1, format=SIGNED, **fields)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("skip_multiplier", "wide"),
    [(None, False), ([0], False), ([2**15 - 1, -(2**15)], False), ([0, 2**15], True),
     ([-(2**15) - 1, 0], True)],
)  # fmt: skip
def test_skip_multipliers_beyond_16_bits_are_known(skip_multiplier, wide):
    there = skip_multiplier is not None
    parameters = Requantize(
        multiplier=np.ones(len(skip_multiplier) if there else 1, int),
        shift=1,
        format=SIGNED,
        skip="skip" if there else None,
        skip_multiplier=np.array(skip_multiplier) if there else None,
    )
    assert parameters.has_wide_skip is wide


@pytest.mark.parametrize(
    ("real", "shift", "multiplier", "skip_shift"),
    [
        # 3/4 * 2^16 is 49152, one bit too wide.
        ([0.75, -0.5], 16, [24576, -16384], 1),
        ([0.75], 10, [768], 0),
        ([0.0, 0.0], 40, [0, 0], 0),
        ([2.0**20], 0, [2**14], 6),
        # Rounds up to 2^15 at the finer shift.
        ([0.99999], 15, [2**14], 1),
        ([0.99999], 14, [2**14], 0),
    ],
)
def test_skip_multiplier_and_shift_by_hand(real, shift, multiplier, skip_shift):
    got, got_shift = skip_multiplier_and_shift(np.array(real), shift)
    assert (got.tolist(), got_shift) == (multiplier, skip_shift)


@given(
    real=st.lists(st.floats(1e-9, 1e4) | st.floats(-1e4, -1e-9), min_size=1, max_size=5),
    shift=st.integers(0, 40),
)
def test_skip_multipliers_are_as_fine_as_16_bits_are(real, shift):
    multiplier, skip_shift = skip_multiplier_and_shift(np.array(real), shift)
    largest = max(map(abs, multiplier.tolist()))
    assert largest < 2**15
    assert skip_shift == 0 or largest >= 2**14
    for value, m in zip(real, multiplier.tolist(), strict=True):
        assert abs(Fraction(value) * 2**shift / 2**skip_shift - m) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("real", "shift", "message"),
    [
        (np.inf, 0, "skip multipliers [inf]: they must be finite"),
        (2.0**40, 62, "a largest skip multiplier of 1.09951e+12 needs a skip shift of 88"),
    ],
)
def test_skip_multipliers_that_cannot_be_expressed(real, shift, message):
    with pytest.raises(NetworkError) as error:
        skip_multiplier_and_shift(np.array([real]), shift)
    assert str(error.value).startswith(message)


def test_each_channel_has_its_multiplier():
    parameters = Requantize(multiplier=np.array([1, -2]), shift=0, format=SIGNED)
    accumulators = np.arange(8).reshape(1, 2, 2, 2)
    expected = [[[[0, 1], [2, 3]], [[-8, -10], [-12, -14]]]]
    assert requantize(accumulators, parameters).tolist() == expected


def test_the_largest_shift_by_hand():
    # Nothing but the rounding term and one unit more: 2^61 is a half.
    values = [2**61, 2**61 - 1, -(2**61), -(2**61) - 1]
    assert requantized(values, 1, 62) == [1, 0, 0, -1]
    for shift in (-1, 63):
        with pytest.raises(NetworkError, match=rf"^shift {shift}: it must be 0 to 62$"):
            requantized([0], 1, shift)


def test_multipliers_are_copies_in_their_own_types():
    multiplier, skip_multiplier = np.array([3, -4]), np.array([2**40, -5])
    parameters = Requantize(
        multiplier=multiplier,
        shift=1,
        format=SIGNED,
        skip="skip",
        skip_multiplier=skip_multiplier,
    )
    multiplier[:] = skip_multiplier[:] = 7
    assert (parameters.multiplier.dtype, parameters.multiplier.tolist()) == (np.int16, [3, -4])
    skips = parameters.skip_multiplier
    assert (skips.dtype, skips.tolist()) == (np.int64, [2**40, -5])


@pytest.mark.parametrize(
    ("multiplier", "skip_multiplier", "message"),
    [
        ([2**15], [1], "multiplier spans 32768 to 32768, which int16 does not hold"),
        ([1], [0.5], "skip multiplier is float64: it must be of integers"),
        (
            [1],
            [[1]],
            "skip multiplier has shape (1, 1): it must have 1 dimensions, none of them 0",
        ),
        ([1], [1, 2], "skip multiplier has 2 channels, multiplier 1: they must be equal"),
    ],
)
def test_multipliers_that_make_no_sense(multiplier, skip_multiplier, message):
    with pytest.raises(NetworkError) as error:
        Requantize(
            multiplier=np.array(multiplier),
            shift=1,
            format=SIGNED,
            skip="skip",
            skip_multiplier=np.array(skip_multiplier),
        )
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("real", "multiplier", "shift"),
    [
        ([0.5], [2**14], 15),
        ([1.0, -0.25], [2**14, -(2**12)], 14),
        ([32767.0], [32767], 0),
        ([2.0**-48], [2**14], 62),
        ([0.0, 0.0], [0, 0], 0),
        # Rounds up to 2^15 at the finer shift, which int16 does not hold.
        ([0.99999], [2**14], 14),
    ],
)
def test_multiplier_and_shift_by_hand(real, multiplier, shift):
    got, got_shift = multiplier_and_shift(np.array(real))
    assert got.dtype == np.int16
    assert (got.tolist(), got_shift) == (multiplier, shift)


@given(st.lists(st.floats(1e-9, 1e4) | st.floats(-1e4, -1e-9), min_size=1, max_size=5))
def test_multiplier_and_shift_use_the_whole_range(real):
    multiplier, shift = multiplier_and_shift(np.array(real))
    assert 2**14 <= np.abs(multiplier.astype(int)).max() < 2**15
    for value, m in zip(real, multiplier.tolist(), strict=True):
        assert abs(Fraction(value) * 2**shift - m) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("real", "message"),
    [
        ([40000.0], "a largest multiplier of 40000 needs a shift of -1"),
        ([2.0**-49], "a largest multiplier of 1.77636e-15 needs a shift of 63"),
        ([1e-30], "a largest multiplier of 1e-30 needs a shift of 114"),
        ([np.nan], "multipliers [nan]: they must be finite"),
    ],
)
def test_multiplier_and_shift_say_what_they_cannot_express(real, message):
    with pytest.raises(NetworkError) as error:
        multiplier_and_shift(np.array(real))
    assert str(error.value).startswith(message)
