"""Beats of the ports, against Amaranth's own layouts."""

import numpy as np
import pytest

from adq.rtl.interface import Status, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.verif.operands import beats

pytestmark = pytest.mark.testpoint("weights.layout")

SEED = 7


@pytest.mark.parametrize("weight_bits", TileParameters.weight_widths)
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (33, 48)])
def test_weights_lie_in_neighbouring_columns(rows, columns, weight_bits):
    p = TileParameters(rows=rows, columns=columns)
    limit = 2 ** (weight_bits - 1)
    shape = (rows, p.outputs(weight_bits))
    block = np.random.default_rng(SEED).integers(-limit, limit, shape)
    got = beats.weight_beats(p, block, weight_bits)
    assert len(got) == p.weight_beats
    layout = weight_layout(p)
    for row in range(rows):
        beat = int.from_bytes(got[row // p.rows_per_beat].tobytes(), "little")
        word = layout.from_bits(beat)[row % p.rows_per_beat]
        for output in range(shape[1]):
            bits = (word >> (output * weight_bits)) & (2**weight_bits - 1)
            assert bits == int(block[row, output]) % 2**weight_bits


def test_job_fields():
    p = TileParameters()
    fields = {
        "weight_bits": 3,
        "activation_bits": 17,
        "signed": True,
        "vectors": 65535,
        "row_blocks": 257,
    }
    beat = int.from_bytes(beats.job_beat(p, **fields), "little")
    job = job_layout(p).from_bits(beat)
    assert {name: job[name] for name in fields} == fields


@pytest.mark.parametrize("columns", [16, 48])
def test_results_round_trip(columns):
    p = TileParameters(rows=20, columns=columns)
    layout = result_layout(p)
    limit = 2 ** (p.accumulator_width - 1)
    rng = np.random.default_rng(SEED)
    lanes = rng.integers(-limit, limit, (5, p.lanes))
    lanes[0] = -limit
    lanes[1] = limit - 1
    lines = []
    for number, row in enumerate(lanes):
        beat = layout.const(
            {
                "outputs": [int(x) for x in row],
                "last": number == 4,
                "status": Status.VECTORS if number == 2 else Status.OK,
            }
        )
        lines.append(f"{beat.as_value().value:x}")
    results = beats.results_of(p, "\n".join(lines) + "\n")
    assert (results.lanes == lanes).all()
    assert list(results.last) == [False] * 4 + [True]
    assert results.status == [Status.OK, Status.OK, Status.VECTORS, Status.OK, Status.OK]
    assert (results.outputs(16) == lanes[:, ::8]).all()


def test_wrong_shapes_are_refused():
    p = TileParameters(rows=16, columns=16)
    with pytest.raises(ValueError, match=r"a block of 8-bit weights is \(16, 2\), not \(16, 3\)"):
        beats.weight_beats(p, np.zeros((16, 3), int), 8)
    with pytest.raises(ValueError, match=r"a vector has 16 words"):
        beats.activation_beats(p, np.zeros((2, 17), int))
