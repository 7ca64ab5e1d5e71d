"""Blocks that replay what their ports did in the RTL."""

import random
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component
from adq.verif.gate_level.replay.block import GateLevelBlock
from adq.verif.gate_level.replay.waveform import Waveform
from adq.verif.gate_level.switching import SwitchingError
from adq.verif.liberty.library import Library
from adq.verif.simulation.simulator import SimulationError
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="Energy at gate level: measured beside the contracts.")

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
CYCLES = 40


class Sums(Component):
    """Adds what a memory gives to a register, while it is enabled."""

    enable: Signal
    address: Signal
    total: Signal

    def __init__(self):
        super().__init__({"enable": In(1), "address": In(2), "total": Out(6)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=4, depth=4, init=[])
        port = storage.read_port()
        m.d.comb += [port.addr.eq(self.address), port.en.eq(self.enable)]
        with m.If(self.enable):
            m.d.sync += self.total.eq(self.total + port.data)
        return m


class Top(Component):
    """Holds a block."""

    def __init__(self):
        super().__init__({"enable": In(1), "address": In(2), "total": Out(6)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sums = sums = Sums()
        m.d.comb += [
            sums.enable.eq(self.enable),
            sums.address.eq(self.address),
            self.total.eq(sums.total),
        ]
        return m


def names_of(block: GateLevelBlock) -> dict[str, int]:
    """Return the names of reset, enable, address, data and sum in a waveform, and their bits.

    Ports of a submodule have the names of the signals on them.
    """
    ports = dict.fromkeys(port for port, _, _ in block.simulation.inputs)
    found = {
        len(block.synthesis.netlist.ports[port][1]): block.signal(port).removeprefix("sums.")
        for port in ports
        if port != "rst"
    }
    return {"rst": 1, found[1]: 1, found[2]: 2, found[4]: 4, "total": 6}


def write_waveform(path: Path, names: dict[str, int], *, wrong: int | None = None) -> list[int]:
    """Write a waveform of the block, its sums by arithmetic; returns them."""
    drawn = random.Random(1)
    lines = ["$scope module top $end", "$var wire 1 c clk $end", "$scope module sums $end"]
    lines += [
        f"$var wire {width} s{i} {name} $end" for i, (name, width) in enumerate(names.items())
    ]
    lines += ["$upscope $end", "$upscope $end", "$enddefinitions $end"]
    total, totals = 0, []
    for cycle in range(CYCLES):
        enable, word = drawn.randrange(2) if cycle < CYCLES - 1 else 0, drawn.randrange(16)
        shown = total ^ (cycle == wrong)
        values = (0, enable, drawn.randrange(4), word, shown)
        lines += [f"#{10 * cycle}", "0c"]
        lines += [f"b{value:b} s{i}" for i, value in enumerate(values)]
        lines += [f"#{10 * cycle + 5}", "1c"]
        totals.append(total)
        if enable:
            total = (total + word) % 64
    path.write_text("\n".join([*lines, ""]))
    return totals


@pytest.fixture(scope="module")
def block(tmp_path_factory) -> GateLevelBlock:
    cache = tmp_path_factory.mktemp("cells")
    return GateLevelBlock(Top(), Library.read(TINY), name="top", part="sums", cache=cache)


def read(path: Path) -> Waveform:
    return Waveform(path, top="top", clock="clk", chosen=lambda scope, _: scope == "sums")


def test_a_block_does_what_the_waveform_says(block, tmp_path):
    path = tmp_path / "dump.vcd"
    totals = write_waveform(path, names_of(block))
    waveform = read(path)
    assert waveform.cycles == CYCLES
    powers = [1 << bit for bit in range(6)]
    assert (waveform.bits("sums.total") @ powers).tolist() == totals
    recording = block.replay(waveform)
    whole = block.run(recording, 4, CYCLES - 1)
    parts = [block.run(recording, 4, 20), block.run(recording, 20, CYCLES - 1)]
    assert whole.cycles == CYCLES - 5
    assert whole.energy == pytest.approx(sum(part.energy for part in parts))
    assert whole.energy > whole.clock > 0


def test_an_idle_block_takes_its_clock(block, tmp_path):
    path = tmp_path / "dump.vcd"
    write_waveform(path, names_of(block))  # the last cycle is not enabled
    waveform = read(path)
    busy = block.run(block.replay(waveform), 4, CYCLES - 1)
    idle = block.idle(waveform)
    assert idle.clock / idle.cycles == pytest.approx(busy.clock / busy.cycles)
    assert idle.clock <= idle.energy
    assert idle.energy / idle.cycles < busy.energy / busy.cycles


def test_an_output_that_differs_is_an_error(block, tmp_path):
    path = tmp_path / "dump.vcd"
    write_waveform(path, names_of(block), wrong=17)
    with pytest.raises(
        SimulationError, match=r"bit 0 of total differs .* in 1 cycles, first in 17"
    ):
        block.replay(read(path))


def test_a_waveform_without_the_clock_is_refused(tmp_path):
    path = tmp_path / "dump.vcd"
    write_waveform(path, {"rst": 1, "e": 1, "a": 2, "d": 4, "total": 6})
    with pytest.raises(SwitchingError, match="has no clock tick in top"):
        Waveform(path, top="top", clock="tick", chosen=lambda *_: True)
