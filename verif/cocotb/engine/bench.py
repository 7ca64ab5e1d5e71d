"""Bench of the engine: feeds a program's streams, and compares the plane memory."""

import itertools
import json
import os
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from cocotb.triggers import FallingEdge

from adq.golden.platform.checks import UNIT, weight_shape
from adq.golden.platform.interpreter import Interpreter, Turn
from adq.rtl.platform.conductor.conductor import layer_layout
from adq.rtl.platform.descriptors import Layer, Load, Mode
from adq.rtl.platform.engine import waits_layout, word_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.raw_writer import raw_layout
from adq.verif.cocotb.bench import Bench, fields, pack, to_bits
from adq.verif.cocotb.random_records import random_records
from adq.verif.cocotb.streams import now
from adq.verif.cocotb.tile_weights import tile_weights

__all__ = ["PLATFORM", "EngineBench"]

PLATFORM = PlatformParameters(**json.loads(os.environ["ADQ_PLATFORM"]))
"""Parameters of the platform under test."""


WEIGHTS = [f"weights__{tile}" for tile in range(PLATFORM.tiles)]
"""Streams of weights, one a tile."""


class EngineBench(Bench):
    """Runs programs, and holds what every layer writes against the interpreter.

    Streams are monitored unless ``watched`` is false, which is faster.
    """

    quiet: ClassVar = {"host_reads__valid": 0, "host_reads__payload": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never", watched: bool = True):
        if watched:
            self.streams = ("layers", *WEIGHTS, "records", "raw", "host_writes")
        super().__init__(dut)
        for name in (*WEIGHTS, "records"):
            self.source(name, idle)
        for name in ("layers", "host_writes"):
            self.source(name, "never")
        self.sink("raw", stall)
        self.spans: list[tuple[int, int]] = []
        """Cycles in which each layer was taken, and in which the next one could be."""
        self.ran: list[int] = []
        """Place of each of them in the program."""
        self.waits: list[dict[str, int]] = []
        """Waits of each of them for a bank of the plane memory, by the kind of port."""
        self.integers = 0
        """Results that were compared."""

    async def run(self, program: bytes, inputs: bytes, output_bytes: int, *, whole: bool = False):
        """Run a program, layer by layer.

        With ``whole``, the whole plane memory is compared behind every layer, else the layer's
        target.
        """
        interpreter = Interpreter(PLATFORM, program, inputs, output_bytes)
        turns = list(interpreter.order())
        layers = [turn for turn in turns if isinstance(turn.descriptor, Layer)]
        for tile, name in enumerate(WEIGHTS):
            beats = [tile_weights(turn.descriptor, PLATFORM, program, tile) for turn in layers]
            self.start_soon(self.sources[name].send(itertools.chain(*beats)))
        parameters = itertools.chain(*(records(turn.descriptor, program) for turn in layers))
        self.start_soon(self.sources["records"].send(parameters))
        executed = interpreter.run()
        for turn in turns:
            if isinstance(turn.descriptor, Load):
                await self.load(interpreter, turn)
            elif isinstance(turn.descriptor, Layer):
                await self.layer(turn)
                done = next(executed)
                assert done.index == turn.index
                self.integers += done.pooled.size
                await self.compare(interpreter, turn, whole)

    async def load(self, interpreter: Interpreter, turn: Turn) -> None:
        """Write images into the plane memory."""
        for image in turn.images:
            first, words = interpreter.loaded(turn.descriptor, image)
            await self.sources["host_writes"].send(
                pack(word_layout(PLATFORM), {"address": first + place, "word": to_bits(word)})
                for place, word in enumerate(words)
            )

    async def layer(self, turn: Turn) -> None:
        """Run a layer."""
        image = turn.images.start << layer_layout()["image"].offset
        descriptor = int.from_bytes(turn.descriptor.pack(), "little")
        await self.sources["layers"].send([descriptor | image])
        first = now() - 1
        if not self.read("active"):
            await self.cycle()
        await FallingEdge(self.port("active"))
        await FallingEdge(self.dut.clk)
        self.spans.append((first, now()))
        self.ran.append(turn.index)
        self.waits.append(fields(waits_layout(), self.read("waits")))

    async def compare(self, interpreter: Interpreter, turn: Turn, whole: bool) -> None:
        """Compare what a layer wrote."""
        layer = turn.descriptor
        if layer.mode == Mode.RAW:
            values = interpreter.outputs[: len(interpreter.outputs) // 8 * 8].view("<i8")
            beats = await self.sinks["raw"].take(layer.windows * layer.outputs)
            places = set()
            for beat in beats:
                raw = fields(raw_layout(), beat)
                places.add(raw["place"])
                assert raw["value"] == int(values[raw["place"]]) % 2**64, (raw, layer)
            assert len(places) == len(beats), "a result was written twice"
        height, width = layer.pooled
        size = height * layer.target_planes * -(-width * layer.target_pitch // PLATFORM.rows)
        region = slice(layer.target, layer.target + (size << layer.target_slots_log))
        if whole:
            region = slice(0, PLATFORM.plane_memory_words)
        elif layer.mode == Mode.RAW:
            return
        found = await self.words(region)
        expected = [to_bits(word) for word in interpreter.planes[region]]
        differing = [
            region.start + place
            for place, (one, other) in enumerate(zip(found, expected, strict=True))
            if one != other
        ]
        assert not differing, (len(differing), differing[:5], layer)

    async def words(self, region: slice) -> list[int]:
        """Read words of the plane memory, between layers."""
        found = []
        for address in range(region.start, region.stop):
            await self.cycle(host_reads__valid=1, host_reads__payload=address)
            assert self.read("host_reads__ready")
            found.append(self.read("host_word"))
        await self.cycle(host_reads__valid=0)
        return [*found[1:], self.read("host_word")]


def records(layer: Layer, program: bytes) -> Iterator[int]:
    """Yield the records of a layer: parameters of its outputs, or its table."""
    count = layer.outputs
    if layer.mode == Mode.TABLE:
        count = -(-(2 << layer.source_planes) // UNIT)
    for place in range(count):
        start = layer.parameters * UNIT + place * UNIT
        yield int.from_bytes(program[start : start + UNIT], "little")


def random_program(
    generator: np.random.Generator, layers: list[Layer], memory_words: int
) -> tuple[bytes, bytes, int]:
    """Return a program of layers over a plane memory of random words, its images and its outputs.

    Each layer begins with a memory of its own. Weights and parameters are random.
    """
    size = memory_words * PLATFORM.rows // 8
    unit = -(-size // UNIT)
    base = 64 * (2 * len(layers) + 1)
    blob = bytearray()
    descriptors = bytearray()

    def append(data: bytes) -> int:
        first = base + len(blob)
        blob.extend(data + bytes(-len(data) % UNIT))
        return first // UNIT

    output_bytes = UNIT
    for place, layer in enumerate(layers):
        descriptors += Load(
            images_log=0, slots_log=0, when=0, words=memory_words, address=0, memory=place * unit
        ).pack()
        blocks = np.prod(weight_shape(layer, PLATFORM)) * PLATFORM.block_bytes
        weights = generator.bytes(int(blocks))
        parameters = random_records(generator, layer)
        target = layer.target
        if layer.mode == Mode.RAW:
            target = output_bytes // UNIT
            height, width = layer.pooled
            output_bytes += -(-8 * layer.images * height * width * layer.target_pitch // 16) * 16
        settings = {"weights": append(weights), "parameters": append(parameters), "target": target}
        descriptors += Layer(**vars(layer) | settings).pack()
    descriptors += (1).to_bytes(64, "little")  # End
    inputs = generator.bytes(unit * UNIT * len(layers))
    return bytes(descriptors + blob), inputs, output_bytes
