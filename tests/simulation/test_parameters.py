# amaranth: UnusedElaboratable=no
"""Tile parameters: widths from first principles, and messages of what cannot be built."""

import itertools
import os

import pytest

from adq.rtl.parameters import ParameterError, TileParameters
from adq.rtl.tile import Tile
from adq.rtl.verilog import to_verilog

pytestmark = pytest.mark.testpoint(
    "jobs.parameters", "weights.layout", "shift_add.widths", "tile.cycles"
)

SIZES = [(1, 16), (16, 16), (33, 48), (64, 64), (100, 32), (256, 128)]


def bits_for(low: int, high: int) -> int:
    """Bits of two's complement that hold both."""
    return next(n for n in itertools.count(1) if -(2 ** (n - 1)) <= low and high < 2 ** (n - 1))


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_widths_are_the_least_that_hold_the_extremes(rows, columns):
    p = TileParameters(rows=rows, columns=columns)
    assert 2**p.count_width > rows >= 2 ** (p.count_width - 1)
    for weight_bits in p.weight_widths:
        weight_low, weight_high = -(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1) - 1
        unsigned = 2**weight_bits - 1
        high = weight_high if weight_bits == 16 else unsigned
        assert p.fused_width(weight_bits) == bits_for(weight_low * rows, high * rows)
        assert p.plane_width(weight_bits) == bits_for(weight_low * rows, weight_high * rows)
        # A plane of either sign is added to what earlier ones left, which is near a plane's sum.
        totals = (2 * weight_low * rows, (weight_high - weight_low) * rows)
        assert p.total_width(weight_bits) == bits_for(*totals)
        most = 2**16 - 1
        extremes = (weight_low * most * rows, weight_high * most * rows)
        blocks = tuple(extreme * p.row_blocks for extreme in extremes)
        assert p.result_width(weight_bits) == bits_for(*blocks)
    assert p.accumulator_width == p.result_width(16)


@pytest.mark.parametrize("rows", range(1, 8))
def test_no_vector_leaves_an_accumulator_too_narrow(rows):
    """All that an accumulator can ever hold, from all sums that a plane of all weights can give."""
    p = TileParameters(rows=rows, columns=16)
    for weight_bits in (2, 4):
        weights = range(-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1))
        sums = {0}
        for _ in range(rows):
            sums |= {earlier + weight for earlier in sums for weight in weights}
        assert p.plane_width(weight_bits) == bits_for(min(sums), max(sums))
        held, totals = {0}, set()
        while new := {acc + plane for acc in held for plane in sums} - totals:
            totals |= new
            held |= {total // 2 for total in new}
        # The sign plane is the last: what is left of it is a result, and goes no further.
        assert p.plane_width(weight_bits) == bits_for(min(held), max(held))
        totals |= {acc - plane for acc in held for plane in sums}
        assert p.total_width(weight_bits) == bits_for(min(totals), max(totals))


@pytest.mark.parametrize("weight_bits", TileParameters.weight_widths)
@pytest.mark.parametrize("rows", [1, 4, 16, 33, 64, 256])
def test_the_sum_of_a_vector_is_its_last_total_and_the_bits_that_left(rows, weight_bits):
    p = TileParameters(rows=rows, columns=16)
    extremes = (-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1) - 1)
    for weight, activation_bits in itertools.product(extremes, range(1, 17)):
        low, high = -(2 ** (activation_bits - 1)), 2**activation_bits - 1
        for activation in (low, low + 1, 0, high // 2, high):
            last = (rows * weight * activation) >> (activation_bits - 1)
            assert bits_for(last, last) <= p.total_width(weight_bits)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_every_column_has_one_place_and_halves_pair_neighbours(rows, columns):
    p = TileParameters(rows=rows, columns=columns)
    order = p.sliced_columns
    assert sorted(order) == list(range(columns))
    # Each level of fusing joins the lower half of the lanes with the upper half.
    members = [{column} for column in order]
    for width in p.weight_widths:
        middle = len(members) // 2
        members = [low | high for low, high in zip(members[:middle], members[middle:], strict=True)]
        assert all(max(group) - min(group) == width - 1 for group in members)
        assert all(min(group) % width == 0 for group in members)
    assert [min(group) // 2 for group in members] == p.sliced_lanes[: len(members)]


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_weight_beats_cover_all_rows(rows, columns):
    p = TileParameters(rows=rows, columns=columns)
    assert (p.weight_beats - 1) * p.rows_per_beat < rows <= p.weight_beats * p.rows_per_beat
    assert p.weight_beats <= p.load_beats


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "rows must be between 1 and 1024, not 0"),
        ({"rows": 1025}, "rows must be between 1 and 1024, not 1025"),
        ({"rows": 6.5}, "rows must be an integer, not 6.5"),
        ({"rows": True}, "rows must be an integer, not True"),
        ({"columns": 0}, "columns must be between 16 and 1024, not 0"),
        (
            {"columns": 40},
            "columns must be a multiple of 16, not 40: "
            "a 16-bit weight fuses 16 neighbouring columns",
        ),
        ({"row_blocks": 0}, "row_blocks must be between 1 and 65536, not 0"),
        ({"counter_bits": 7}, "counter_bits must be between 8 and 64, not 7"),
        ({"vectors": 0}, "vectors must be between 1 and 16777216, not 0"),
        (
            {"partial_sums": 0},
            "row_blocks must be 1, not 256, where partial_sums is 0: "
            "sums over row blocks wait in the partial sum buffer",
        ),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ParameterError) as error:
        TileParameters(**change)
    assert str(error.value) == message


def test_outputs_of_a_weight_width_that_is_none():
    with pytest.raises(ParameterError, match="weight bits must be one of 2, 4, 8, 16, not 3"):
        TileParameters().outputs(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tile]\nrow = 4\n", "unknown key 'tile.row'; did you mean 'rows'?"),
        ("[tile]\nrows = 4\n[title]\n", "unknown key 'title'; did you mean 'tile'?"),
        ("[tile]\nzzz = 4\n", "unknown key 'tile.zzz'; known: rows, columns"),
        ("rows = 4\n", "has no [tile] table"),
        ("[tile\n", "not valid TOML"),
        ("[tile]\ncolumns = 17\n", "columns must be a multiple of 16, not 17"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    path = tmp_path / "tile.toml"
    path.write_text(text)
    with pytest.raises(ParameterError) as error:
        TileParameters.from_toml(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_missing_file(tmp_path):
    with pytest.raises(ParameterError, match=r"cannot read the tile file: No such file"):
        TileParameters.from_toml(tmp_path / "none.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    for place in (tmp_path, tmp_path / "pipe.toml"):
        with pytest.raises(ParameterError, match="is no plain file: give another with --tile"):
            TileParameters.from_toml(place)


def test_a_file_replaces_defaults(tmp_path):
    path = tmp_path / "tile.toml"
    path.write_text("[tile]\nrows = 32\ncolumns = 48\n")
    assert TileParameters.from_toml(path) == TileParameters(rows=32, columns=48)


def test_cycles_of_a_sequence_by_hand():
    p = TileParameters(rows=4, columns=16)
    assert p.weight_beats == 4
    # Beats in cycles 0 to 3, used from 5 on: 10 planes in 5 to 14, the result 2 cycles later,
    # or 3.
    assert p.sequence_cycles([(2, [10])]) == 14 + 2 + 1
    assert p.sequence_cycles([(4, [10])]) == 14 + 2 + 1
    assert p.sequence_cycles([(8, [10])]) == 14 + 3 + 1
    assert p.sequence_cycles([(16, [10])]) == 14 + 3 + 1
    # A partial sum buffer costs none.
    short = TileParameters(rows=4, columns=16, row_blocks=1, partial_sums=0)
    assert short.sequence_cycles([(2, [10])]) == 14 + 2 + 1
    assert short.sequence_cycles([(16, [10])]) == 14 + 3 + 1
    # The second block, in beats 4 to 7, waits for the array; a job's own fetch costs a cycle.
    assert p.sequence_cycles([(2, [10, 10])]) == 24 + 2 + 1
    assert p.sequence_cycles([(2, [10]), (2, [10])]) == 25 + 2 + 1
    # Blocks of one plane: used in 5 and 9; the third, in beats 8 to 11, in 13.
    assert p.sequence_cycles([(2, [1, 1, 1])]) == 13 + 2 + 1
    # Nothing can load while both banks are in use: the third block, behind the first one's last
    # plane in cycle 104, in beats 106 to 109, is used in 111.
    assert p.sequence_cycles([(2, [100, 1, 1])]) == 111 + 2 + 1


@pytest.mark.parametrize("row_blocks", [1, 10])
@pytest.mark.parametrize("activation_bits", range(1, 17))
def test_fewer_than_the_least_vectors_make_the_array_wait(activation_bits, row_blocks):
    p = TileParameters(rows=64, columns=16)

    def waits(vectors):
        jobs, cycles = 40 // row_blocks, vectors * activation_bits
        sequence = p.sequence_cycles([(2, [cycles] * row_blocks)] * jobs)
        first_plane, between = p.weight_beats + p.store_latency - 1, p.start_latency - 1
        return sequence - (first_plane + 40 * cycles + (jobs - 1) * between + p.latency(2))

    least = p.least_vectors(activation_bits, row_blocks=row_blocks)
    assert waits(least) == 0
    if least > 1:
        assert waits(least - 1) > 0


@pytest.mark.parametrize(("rows", "columns"), [(256, 256), (1024, 64), (1024, 1024)])
def test_hardware_of_too_many_cells_is_refused_by_its_size(rows, columns):
    with pytest.raises(ParameterError, match=f"a tile of {rows} x {columns} has .* bit cells"):
        to_verilog(Tile(TileParameters(rows=rows, columns=columns)), name="tile")


def test_integers_that_toml_does_not_have_are_refused(tmp_path):
    for value in ("9" * 6000, "0x" + "f" * 6000, str(2**63)):
        path = tmp_path / "tile.toml"
        path.write_text(f"[tile]\nrows = {value}\n")
        with pytest.raises(ParameterError, match="not valid TOML: ") as error:
            TileParameters.from_toml(path)
        assert len(str(error.value)) < 400
