"""Bench of the drain: an accumulator memory, a plane memory and streams around it."""

from typing import ClassVar

from amaranth.lib import data
from cocotb.triggers import FallingEdge, RisingEdge

from adq.rtl.platform.accumulator_memory import read_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.planes.plane_memory import write_layout
from adq.rtl.platform.results.drain_settings import drain_layout
from adq.rtl.platform.results.raw_writer import raw_layout
from adq.verif.cocotb.bench import Bench, fields
from adq.verif.cocotb.drain.reference import Results, chunks_of, settings_of, wrapped
from adq.verif.cocotb.drain.sizes import DRAINS
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["DrainBench"]


def packed(layout: data.Layout, values: dict) -> int:
    """Pack the members of a structure of structures into a port value."""
    total = 0
    for name, field in layout:
        value = values[name]
        if isinstance(value, dict):
            value = packed(field.shape, value)
        total |= (value & (2**field.width - 1)) << field.offset
    return total


class DrainBench(Bench):
    """Drains the sums of layers, and compares the plane memory and the raw results."""

    streams = ("records", "raw", "writes")
    quiet: ClassVar = {"settings": 0, "start": 0, "finished": 0, "sums": 0, "reads__ready": 0,
                       "read_word": 0, "writes__ready": 1}  # fmt: skip

    def __init__(self, dut, block: str, *, idle: str = "never", stall: str = "never"):
        self.block = block  # before ports are looked up
        super().__init__(dut)
        self.parameters = DRAINS[block]
        self.source("records", idle)
        self.sink("raw", stall)
        self.pause_job = BACK_PRESSURES[idle](self.random)
        self.pause_read = BACK_PRESSURES[stall](self.random)
        self.pause_write = BACK_PRESSURES[stall](self.random)

    async def check(
        self, layer: Layer, image: int = 0, cut_off: int = 0, given: Results | None = None
    ) -> int:
        """Drain a layer, compare what it has written, and return the cycles that it took.

        ``image`` is the first image. With ``cut_off``, give up after so many cycles. Sums and
        parameters are random where they are not ``given``.
        """
        p = self.parameters
        given = given or Results(self.random, layer, image, p)
        memory, raw = given.expected()
        settings = packed(drain_layout(p), settings_of(layer, image, p))
        lanes = p.tile.outputs(layer.weight_bits)
        jobs = []  # first output and first vector of each
        for first in range(0, layer.outputs, lanes):
            vector = 0
            for vectors in chunks_of(layer, p):
                jobs.append((first, vector, vectors))
                vector += vectors
        self.start_soon(self.sources["records"].send(list(given.records())))
        await self.cycle(settings=settings, start=1)
        waits = writing = False
        cycles, finished, word, sums = 0, False, self.noise("read_word"), self.noise("sums")
        while not cycles or self.read("active"):
            if cycles == cut_off > 0:
                return cycles
            cycles += 1
            assert cycles < 100_000, "the drain hangs"
            finished = finished or (bool(jobs) and not self.pause_job(False))
            await RisingEdge(self.dut.clk)
            self.drive(
                settings=settings,
                start=0,
                finished=int(finished),
                sums=sums,
                reads__ready=int(not self.pause_read(waits)),
                writes__ready=int(not self.pause_write(writing)),
                read_word=word,
            )
            await FallingEdge(self.dut.clk)
            if not self.read("held"):
                sums = self.noise("sums")
            word = self.noise("read_word")
            waits = bool(self.read("reads__valid"))
            writing = bool(self.read("writes__valid"))
            if self.read("reads__valid") and self.read("reads__ready"):
                word = given.memory[self.read("reads__payload")]
            read = fields(read_layout(p), self.read("read"))
            if read["enable"]:
                assert finished, "a half is read that is not finished"
                first, vector, vectors = jobs[0]
                assert read["vector"] < vectors
                sums = self.sums_of(given, first, lanes, vector + read["vector"], read["slice"])
            if self.read("release"):
                assert finished
                jobs.pop(0)
                finished = False
            if self.read("writes__valid") and self.read("writes__ready"):
                layout = write_layout(p.address_bits, p.rows)
                write = fields(layout, self.read("writes__payload"))
                kept = given.memory[write["address"]] & ~write["mask"]
                given.memory[write["address"]] = kept | write["word"] & write["mask"]
        assert not jobs, f"{len(jobs)} jobs are left"
        results = await self.sinks["raw"].take(len(raw))
        assert not self.sinks["raw"].beats
        found = {}
        for beat in results:
            result = fields(raw_layout(), beat)
            found[result["place"]] = wrapped(result["value"], 64)
        assert found == raw, layer
        assert given.memory == memory, layer
        return cycles

    def sums_of(self, given: Results, first: int, lanes: int, vector: int, which: int) -> int:
        """Return the outputs of a read; those that there are not are noise."""
        p = self.parameters
        bits = p.lane_bits(16)
        total = 0
        for place in range(p.requantizers):
            number = self.random.getrandbits(bits)
            output = which * p.requantizers + place
            if output < lanes and first + output < given.layer.outputs:
                number = given.sums[vector][first + output] % 2**bits
            total |= number << place * bits
        return total
