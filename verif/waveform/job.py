"""One job on a tile small enough to read, by Amaranth's simulator, as a WaveDrom diagram."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from adq.rtl.interface import job_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile

__all__ = ["job_waves"]

TILE = TileParameters(rows=4, columns=16, row_blocks=1, partial_sums=0)

WEIGHT_BITS, ACTIVATION_BITS = 8, 3

WEIGHTS = np.array([[3, -11], [-20, 5], [16, 2], [1, -7]])
"""(rows, outputs)"""

VECTORS = np.array([[5, 2, 7, 1], [1, 0, 2, 3], [4, 5, 1, 0]])
"""(vectors, rows): the second has an empty plane in front, the third an empty one inside."""


def wire(name: str, levels: Sequence[int], node: str = "") -> dict:
    """Return a wire of a diagram: its level in each cycle, and nodes to which edges refer."""
    wave = "".join(
        f"{level}{'.' * (len([*same]) - 1)}" for level, same in groupby(map(int, levels))
    )
    return {"name": name, "wave": wave} | ({"node": node} if node else {})


def bus(name: str, values: Sequence[str | None], *, beats: bool = False) -> dict:
    """Return a bus of a diagram: its value in each cycle, None where it means nothing.

    Equal values next to each other are one, unless each is a beat of its own.
    """
    wave, data, before = "", [], ""
    for value in values:
        if value is None:
            wave += "." if before is None else "z"
        elif value == before and not beats:
            wave += "."
        else:
            wave += "="
            data.append(value)
        before = value
    return {"name": name, "wave": wave, "data": data}


def open_up(component: wiring.Component) -> Module:
    """Elaborate a component here, so that the simulation runs on submodules that can be seen."""
    module = component.elaborate(None)
    component.elaborate = lambda platform: module
    return module


class _Observed:
    """A tile in simulation, and what its wires held at the end of each cycle."""

    def __init__(self):
        self.tile = Tile(TILE)
        inside = open_up(self.tile).submodules
        shift_add = open_up(inside.shift_add).submodules
        self.signals = {
            **{
                f"{name} {wire}": getattr(getattr(self.tile, name), wire)
                for name in ("jobs", "weights", "activations", "results")
                for wire in ("valid", "ready")
            },
            "bank full": inside.weight_array.full[0],
            "take": inside.feeder.take,
            "plane": inside.feeder.plane,
            "index": inside.feeder.index,
            "sum": shift_add.fuser.fused_8,
            "total": shift_add.accumulator_16.totals,
            "accumulator": shift_add.accumulator_16.accumulators,
            **{
                f"output {output}": self.tile.results.payload.outputs[output * WEIGHT_BITS // 2]
                for output in range(TILE.outputs(WEIGHT_BITS))
            },
        }
        self.values = {name: [] for name in self.signals}
        simulator = Simulator(self.tile)
        simulator.add_clock(1e-9)
        bits = [
            sum(int(weight) % 2**WEIGHT_BITS << (WEIGHT_BITS * i) for i, weight in enumerate(row))
            for row in WEIGHTS
        ]
        job = {
            "weight_bits": WEIGHT_BITS,
            "activation_bits": ACTIVATION_BITS,
            "signed": 0,
            "vectors": len(VECTORS),
            "row_blocks": 1,
        }
        for stream, beats in (
            (self.tile.jobs, [job_layout(TILE).const(job)]),
            (self.tile.weights, [[word] for word in bits]),
            (self.tile.activations, VECTORS.tolist()),
        ):
            simulator.add_testbench(self._source(stream, beats), background=True)
        simulator.add_testbench(self._watch)
        simulator.run()

    @staticmethod
    def _source(stream, beats):
        async def send(ctx):
            for beat in beats:
                ctx.set(stream.payload, beat)
                ctx.set(stream.valid, 1)
                await ctx.tick().until(stream.ready)
            ctx.set(stream.valid, 0)

        return send

    async def _watch(self, ctx):
        ctx.set(self.tile.results.ready, 1)
        results = 0
        while results < len(VECTORS):
            _, _, *values = await ctx.tick().sample(*self.signals.values())
            for held, value in zip(self.values.values(), values, strict=True):
                held.append(value)
            results += values[list(self.signals).index("results valid")]

    @property
    def cycles(self) -> int:
        """Cycles up to the last result."""
        return len(self.values["take"])

    def cycles_with(self, name: str) -> list[int]:
        """Return the cycles in which a wire is high."""
        return [cycle for cycle, level in enumerate(self.values[name]) if level]

    def beats(self, stream: str, texts: list[str]) -> dict:
        """Return the payloads of a stream, one after the other."""
        offered, taken = [], 0
        for valid, ready in zip(
            self.values[f"{stream} valid"], self.values[f"{stream} ready"], strict=True
        ):
            offered.append(texts[taken] if valid else None)
            taken += valid & ready
        return bus("payload", offered)

    def stream(self, name: str, texts: list[str]) -> list:
        """Group of a stream's three wires."""
        wires = [wire(member, self.values[f"{name} {member}"]) for member in ("valid", "ready")]
        return [name, *wires, self.beats(name, texts)]

    def lane(self, name: str, width: int) -> list[str]:
        """Return the signed number of ``width`` bits in the lowest lane of a bit slice, in each
        cycle.
        """
        numbers = []
        for words in self.values[name]:
            bits = [word & 1 for word in list(words)[:width]]
            numbers.append(sum(bit << i for i, bit in enumerate(bits)) - (bits[-1] << len(bits)))
        return [str(number) for number in numbers]


def job_waves() -> dict:
    """Return the WaveJSON of a job from its first beat to its last result.

    Raises
    ------
    AssertionError
        If the results are not the products of vectors and weights.
    """
    seen = _Observed()
    outputs = [seen.values[f"output {i}"] for i in range(TILE.outputs(WEIGHT_BITS))]
    results = [
        " ".join(str(values[cycle]) for values in outputs)
        for cycle in seen.cycles_with("results valid")
    ]
    expected = [" ".join(map(str, vector)) for vector in (VECTORS @ WEIGHTS).tolist()]
    if results != expected:
        raise AssertionError(f"the tile gave {results}, the products are {expected}")

    planes = [
        f"{plane:0{TILE.rows}b}"[::-1] if take else None
        for plane, take in zip(seen.values["plane"], seen.values["take"], strict=True)
    ]
    indices = [
        str(index) if take else None
        for index, take in zip(seen.values["index"], seen.values["take"], strict=True)
    ]
    taken = seen.cycles_with("take")
    rows = [" ".join(map(str, row)) for row in WEIGHTS.tolist()]
    latency = TILE.latency(WEIGHT_BITS)
    nodes = [" "] * seen.cycles
    nodes[taken[0]], nodes[taken[-1]], nodes[taken[-1] + latency] = "abc"
    return {
        "signal": [
            {"name": "clk", "wave": "p" + "." * (seen.cycles - 1)},
            seen.stream("jobs", [f"{WEIGHT_BITS} x {ACTIVATION_BITS} bits"]),
            seen.stream("weights", rows),
            seen.stream("activations", [" ".join(map(str, vector)) for vector in VECTORS.tolist()]),
            [
                "array",
                wire("bank 0 full", seen.values["bank full"]),
                wire("take", seen.values["take"], "".join(nodes).replace(" ", ".")),
                bus("plane, rows 0 to 3", planes, beats=True),
                bus("of bit", indices, beats=True),
            ],
            [
                "output 0",
                bus("sum of a plane", seen.lane("sum", TILE.plane_width(WEIGHT_BITS))),
                bus("total", seen.lane("total", TILE.total_width(WEIGHT_BITS))),
                # A result is the total of its vector's last plane, above the lowest bits of the
                # totals before it. The accumulator is not clocked with that plane.
                bus("accumulator", seen.lane("accumulator", TILE.plane_width(WEIGHT_BITS))),
            ],
            seen.stream("results", results),
        ],
        "edge": [f"a+b {len(taken)} planes", f"b+c latency {latency}"],
        "head": {
            "text": f"{WEIGHT_BITS} x {ACTIVATION_BITS} bits, {len(VECTORS)} vectors, "
            f"{TILE.rows} rows, {TILE.columns} columns",
            "tick": 0,
        },
    }
