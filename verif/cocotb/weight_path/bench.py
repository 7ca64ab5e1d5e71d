"""Bench of the weight path: layers, a memory, and the tiles that take weights."""

from collections.abc import Iterator
from itertools import islice

from adq.golden.platform.checks import UNIT, weight_block_count, weight_shape
from adq.rtl.interface import weight_layout
from adq.rtl.platform.bus.read_channel import request_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.weights.weight_loader import task_layout
from adq.verif.cocotb.bench import Bench, fields
from adq.verif.cocotb.tile_weights import tile_weights
from adq.verif.cocotb.weight_path.sizes import WEIGHT_PATHS

__all__ = ["WeightPathBench"]


class WeightPathBench(Bench):
    """Gives layers, answers requests out of a memory of random bytes, and compares what each tile
    gets.
    """

    def __init__(self, dut, block: str, *, idle: str = "never", stall: str = "never"):
        self.block = block  # before ports are looked up
        self.parameters = p = WEIGHT_PATHS[block]
        self.tiles = [f"weights__{tile}" for tile in range(p.tiles)]
        self.streams = ("tasks", "requests", "beats", *self.tiles)
        super().__init__(dut)
        self.source("tasks", "never")
        self.source("beats", idle)
        for name in ("requests", *self.tiles):
            self.sink(name, stall)
        self.memory = b""

    async def check(self, layers: list[Layer]) -> None:
        """Run layers one after another."""
        p = self.parameters
        placed, size = [], 0
        for layer in layers:
            placed.append(Layer(**vars(layer) | {"weights": size // UNIT}))
            size += weight_block_count(layer, p) * p.block_bytes
        self.memory = self.rng.bytes(size)
        requests = list(self.requests(placed))
        before = len(self.monitors["requests"].taken)
        serving = self.start_soon(self.serve(requests))
        tasks = [
            int.from_bytes(layer.pack(), "little") | place << task_layout()["index"].offset
            for place, layer in enumerate(placed)
        ]
        self.start_soon(self.sources["tasks"].send(tasks))
        for tile, name in enumerate(self.tiles):
            expected = [
                beat for layer in placed for beat in tile_weights(layer, p, self.memory, tile)
            ]
            found = await self.sinks[name].take(len(expected))
            assert found == expected, (name, len(expected), placed)
        await serving
        await self.cycles(20)
        assert not any(self.read(f"{name}__valid") for name in self.tiles)
        assert len(self.monitors["requests"].taken) - before == len(requests), "more was asked for"

    async def begin(self, layer: Layer, limit: int) -> None:
        """Compare the first requests of a layer, without an answer."""
        expected = list(islice(self.requests([layer]), limit))
        before = len(self.monitors["requests"].taken)
        await self.sources["tasks"].send([int.from_bytes(layer.pack(), "little")])
        for each in expected:
            (asked,) = await self.sinks["requests"].take(1)
            assert fields(request_layout(), asked) == each, layer
        if len(expected) < limit:
            await self.cycles(300)  # as long as all divisions of a layer take
            assert len(self.monitors["requests"].taken) - before == len(expected), layer

    def requests(self, layers: list[Layer]) -> Iterator[dict[str, int]]:
        """Yield what is asked for: each group once, or once a chunk of the first part's windows.

        A group that fits into half of a column's buffer is kept.
        """
        p = self.parameters
        for place, layer in enumerate(layers):
            groups, rounds, split, stack, columns = weight_shape(layer, p)
            column = rounds * split * stack * p.block_bytes
            loads = 1
            if column > 1024 * p.weight_buffer_kib:
                parts = p.clusters * (1 if layer.stacked else p.stack) // split
                chunk = p.accumulator_vectors // layer.window
                windows = -(-layer.windows // parts)  # of a part
                loads = -(-windows // chunk)
            first = layer.weights * UNIT
            for group in range(groups):
                offset = first + group * column * columns
                for _ in range(loads):
                    yield {"offset": offset, "bytes": column * columns, "index": place}

    async def serve(self, expected: list[dict[str, int]]) -> None:
        """Answer requests, which must be the expected ones."""
        beat = weight_layout(self.parameters.tile).size // 8
        for each in expected:
            (asked,) = await self.sinks["requests"].take(1)
            request = fields(request_layout(), asked)
            assert request == each
            end = request["offset"] + request["bytes"]
            await self.sources["beats"].send(
                int.from_bytes(self.memory[place : place + beat], "little")
                for place in range(request["offset"], end, beat)
            )
