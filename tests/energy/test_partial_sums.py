"""Partial sums: accesses by hand, energies in proportion, and the tables that are kept."""

import json

import pytest
from amaranth.back import rtlil

from adq.cost.work import LayerWork
from adq.energy.coefficients import EnergyError
from adq.energy.memory.memories import nearest_sram, sram_table
from adq.energy.memory.partial_sums import (
    FlipFlopBuffer,
    accesses,
    entry_bits,
    flip_flop_buffer,
    layer_pj,
    sram_pj,
)
from adq.energy.reports.network_comparison import Comparison, NetworkSums
from adq.rtl.parameters import TileParameters
from adq.rtl.shift_add.partial_sums import PartialSumBuffer
from adq.rtl.tile import Tile

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

TILE = TileParameters(rows=64, columns=64)


def layer(*, rows: int, outputs: int, vectors: int, bits: int) -> LayerWork:
    return LayerWork(
        name="layer",
        channels=outputs,
        macs=rows * outputs * vectors,
        inputs=rows * vectors,
        weights=rows * outputs,
        weight_bits=bits,
        activation_bits=bits,
    )


@pytest.mark.parametrize(
    ("rows", "outputs", "vectors", "bits", "expected"),
    [
        (64, 32, 10, 2, 0),  # one row block
        (65, 32, 10, 2, 10),
        (4608, 32, 4, 2, 71 * 4),
        (4608, 512, 4, 2, 16 * 71 * 4),  # 32 outputs a job
        (4608, 512, 4, 16, 128 * 71 * 4),  # 4 outputs a job
        (128, 32, 100, 3, 2 * 100),  # 3 bits are 4: 16 outputs a job
    ],
)
def test_accesses_by_hand(rows, outputs, vectors, bits, expected):
    assert accesses(layer(rows=rows, outputs=outputs, vectors=vectors, bits=bits), TILE) == expected


def test_an_entry_is_as_wide_as_the_rtl_s(monkeypatch):
    found = []
    create = PartialSumBuffer.__init__

    def remember(self, *, width, depth):
        found.append((width, depth))
        create(self, width=width, depth=depth)

    monkeypatch.setattr(PartialSumBuffer, "__init__", remember)
    rtlil.convert(Tile(TILE), name="tile", emit_src=False)
    assert found == [(entry_bits(TILE), 64)] == [(1120, 64)]


def test_energy_is_in_proportion_to_bits():
    buffer = FlipFlopBuffer(
        *("lib", "0", 1.1, 25.0, 16, 16, 64, 100, 64000.0), {2: 1000.0}, {2: 2000.0}
    )
    assert buffer.um2_per_bit == 10.0
    assert buffer.pj(100, 2) == 2.0
    assert buffer.pj(32, 2, delayed=False) == pytest.approx(0.32)
    [energy] = layer_pj([layer(rows=128, outputs=32, vectors=5, bits=2)], TILE, buffer)
    assert energy == pytest.approx(5 * 2.0 * 1120 / 100)


# As CACTI 7 printed them. Horowitz, ISSCC 2014, has 10 pJ for 64 bits from 8 KB and 20 pJ from
# 32 KB at 45 nm and 0.9 V.
@pytest.mark.parametrize(
    ("size", "width", "read"),
    [
        (8192, 64, 5.288),
        (16384, 64, 9.994),
        (32768, 64, 14.925),
        (65536, 64, 28.984),
        (16384, 128, 9.107),
        (1024, 64, 1.434),
    ],
)
def test_memories_are_those_of_cacti(size, width, read):
    [memory] = [m for m in sram_table() if (m.bytes, m.width, m.ports) == (size, width, "1RW")]
    assert memory.read_pj == pytest.approx(read, abs=0.001)


def test_the_buffer_s_memory_has_its_entries():
    memory, entry = sram_pj(TILE)
    assert (memory.words, memory.ports) == (64, "1R1W")
    assert entry == pytest.approx((30.252 + 37.591) / 512 * 1120, rel=1e-3)
    with pytest.raises(EnergyError, match="no memory has ports 9R: it must be one of 1RW, 1R1W"):
        nearest_sram(64, ports="9R")


def test_the_kept_buffer_is_whole():
    buffer = flip_flop_buffer()
    assert (buffer.entries, set(buffer.zero_delay_fj)) == (64, {2, 4, 8, 16})
    for bits, energy in buffer.zero_delay_fj.items():
        assert 0 < energy < buffer.delayed_fj[bits]
    # 5 times the area of the tile without it.
    assert buffer.um2_per_bit * 64 * entry_bits(TILE) == pytest.approx(461_000, rel=0.01)


def test_a_damaged_buffer_is_a_named_error(tmp_path):
    path = tmp_path / "buffer.json"
    for content, message in (
        ("{", "is no file of a partial sum buffer, or damaged"),
        ('{"format": 1}', "is no file of a partial sum buffer, or damaged"),
        ('{"format": 2}', "has format 2, not 1: write it with"),
    ):
        path.write_text(content)
        with pytest.raises(EnergyError, match=rf"buffer\.json: {message}"):
            FlipFlopBuffer.read(path)


def test_ratios_are_to_the_first_network():
    networks = (NetworkSums("a", 1.0, 2.0, 4.0, 3.0), NetworkSums("b", 10.0, 16.0, 20.0, 21.0))
    found = Comparison("vgg19", 64, 64, "lib", networks)
    assert found.ratios(networks[1]) == {
        "array": 10.0,
        "array_delayed": 8.0,
        "flip_flops": 5.0,
        "sram": 7.0,
    }
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
