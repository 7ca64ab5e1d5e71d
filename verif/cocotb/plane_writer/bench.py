"""Bench of the plane writer: pixels, and the memory that they are written into."""

from typing import ClassVar

from adq.rtl.platform.planes.plane_writer import slice_layout
from adq.verif.cocotb.bench import Bench
from adq.verif.cocotb.drain.sizes import WRITERS
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["PlaneWriterBench"]


class PlaneWriterBench(Bench):
    """Sends the outputs of pixels, and compares every bit of the memory."""

    streams = ("slices",)
    quiet: ClassVar = {"planes": 1, "plane_step": 0, "write_ready": 1}

    def __init__(self, dut, block: str, *, idle: str = "never", stall: str = "never"):
        self.block = block  # before ports are looked up
        super().__init__(dut)
        self.parameters = WRITERS[block]
        self.source("slices", idle)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.writes = 0
        """Writes of the last tensor."""

    async def check(self, planes: int, plane_step: int, pixels: list[tuple]) -> None:
        """Write pixels: address, bit and the outputs of each."""
        p = self.parameters
        words = p.plane_memory_words
        memory = [self.random.getrandbits(p.rows) for _ in range(words)]
        expected, beats, wanted = list(memory), [], 0
        for address, offset, values in pixels:
            for place, value in enumerate(values):
                for plane in range(planes):
                    word, bit = divmod(offset + place, p.rows)
                    at = (address + plane * plane_step + word) % words
                    expected[at] = expected[at] & ~(1 << bit) | (value >> plane & 1) << bit
            wanted += planes * -(-(offset + len(values)) // p.rows)
            beats += self.beats(address, offset, values)
        await self.cycle(planes=planes, plane_step=plane_step)
        sending = self.start_soon(self.sources["slices"].send(beats))
        self.writes = 0
        waited: tuple[int, ...] | None = None
        while not sending.done() or self.read("busy"):
            await self.cycle(write_ready=int(not self.pause(waited is not None)))
            write = tuple(self.read(name) for name in ("address", "word", "mask"))
            assert waited in (None, write), "a write changed before it was taken"
            offered, ready = self.read("write_enable"), self.read("write_ready")
            waited = write if offered and not ready else None
            if offered and ready:
                self.writes += 1
                address, mask = self.read("address"), self.read("mask")
                memory[address] = memory[address] & ~mask | self.read("word") & mask
        assert memory == expected
        assert self.writes == wanted

    def beats(self, address: int, offset: int, values: list[int]) -> list[int]:
        """Return the slices of a pixel. What does not count is noise."""
        p, beats = self.parameters, []
        for first in range(0, len(values), p.requantizers):
            last = first + p.requantizers >= len(values)
            beat = self.random.getrandbits(slice_layout(p).size)
            given = {"slice": first // p.requantizers, "last": int(last)}
            if last:
                given |= {"address": address, "offset": offset, "outputs": len(values)}
            for name, value in given.items():
                field = slice_layout(p)[name]
                ones = (1 << field.width) - 1
                beat = beat & ~(ones << field.offset) | value << field.offset
            at = slice_layout(p)["values"].offset
            for place, value in enumerate(values[first : first + p.requantizers]):
                beat = beat & ~(0xFFFF << at + 16 * place) | value << at + 16 * place
            beats.append(beat)
        return beats
