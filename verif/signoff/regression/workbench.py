"""Workbenches: the blocks of a tile in one design, and those of the platform in another, so that a
build serves all their tests.
"""

from collections.abc import Callable, Mapping

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.pim_tile.counters import PerformanceCounters
from adq.rtl.pim_tile.feeder import BitPlaneFeeder
from adq.rtl.pim_tile.sequencer import Sequencer
from adq.rtl.pim_tile.weight_array import WeightArray
from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.rtl.platform.conductor.conductor import Conductor
from adq.rtl.platform.plane_tile import PlaneTile
from adq.rtl.platform.planes.plane_aligner import PlaneAligner
from adq.rtl.platform.planes.plane_memory import PlaneMemory
from adq.rtl.platform.planes.plane_writer import PlaneWriter
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.platform.results.drain import Drain
from adq.rtl.platform.results.maximum import MaximumPool
from adq.rtl.platform.results.requantizer import Requantizer
from adq.rtl.platform.weights.weight_path import WeightPath
from adq.rtl.shift_add.accumulator import Accumulator
from adq.rtl.shift_add.collector import Collector
from adq.rtl.shift_add.fuser import Fuser
from adq.rtl.shift_add.partial_sums import PartialSumBuffer
from adq.rtl.shift_add.shift_add import ShiftAdd
from adq.verif.cocotb.accumulator_memory.sizes import ACCUMULATOR_MEMORIES
from adq.verif.cocotb.drain.sizes import DRAINS, WRITERS
from adq.verif.cocotb.plane_memory.sizes import PLANE_MEMORIES
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.cocotb.requantizer.sizes import NARROW, WIDE
from adq.verif.cocotb.weight_path.sizes import WEIGHT_PATHS

__all__ = ["PLATFORM_BENCHES", "Workbench", "platform_blocks", "tile_blocks"]


def accumulator(parameters: TileParameters, widest: int) -> Accumulator:
    """Return an accumulator for weights of up to ``widest`` bits, with as many lanes as those
    use.
    """
    precisions = parameters.accumulator_weight_bits(widest)
    widths = {n: parameters.plane_width(n) for n in precisions}
    return Accumulator(lanes=parameters.outputs(widest), widths=widths)


def tile_blocks(parameters: TileParameters) -> dict[str, wiring.Component]:
    """Return the blocks of a tile, by the name of their module in the workbench."""
    p = parameters
    blocks = {
        "column_counter": ColumnCounter(p),
        "weight_array": WeightArray(p),
        "feeder": BitPlaneFeeder(p),
        "sequencer": Sequencer(p),
        "counters": PerformanceCounters(max_planes=p.max_activation_bits, bits=p.counter_bits),
        "fuser": Fuser(p),
        # Accumulators of one precision each, and the one of lanes that serve several.
        **{f"accumulator_{n}": accumulator(p, n) for n in (*p.direct_widths, p.group_columns)},
        "collector": Collector(p),
        "shift_add": ShiftAdd(p),
        "plane_tile": PlaneTile(p),
    }
    if p.partial_sums:
        blocks["partial_sums"] = PartialSumBuffer(width=7, depth=p.partial_sums)
    return blocks


PLATFORM_BENCHES: Mapping[str, Callable[[], dict[str, wiring.Component]]] = {
    "requantizer": lambda: {
        each.block: Requantizer(each.accumulator_bits, **each.parameters) for each in (WIDE, NARROW)
    },
    "maximum_pool": lambda: {"maximum_pool": MaximumPool()},
    "plane_memory": lambda: {
        name: PlaneMemory(sizes, readers=sizes.units, writers=sizes.units)
        for name, sizes in PLANE_MEMORIES.items()
    },
    "walker": lambda: {"walker": Walker(SMALL)},
    "plane_aligner": lambda: {"plane_aligner": PlaneAligner(SMALL.rows)},
    "conductor": lambda: {"conductor": Conductor(SMALL)},
    "accumulator_memory": lambda: {
        name: AccumulatorMemory(sizes) for name, sizes in ACCUMULATOR_MEMORIES.items()
    },
    "plane_writer": lambda: {name: PlaneWriter(sizes) for name, sizes in WRITERS.items()},
    "drain": lambda: {name: Drain(sizes) for name, sizes in DRAINS.items()},
    "weight_path": lambda: {name: WeightPath(sizes) for name, sizes in WEIGHT_PATHS.items()},
}
"""Blocks of the platform in the sizes of their benches, by the name of their module in the
workbench, for each folder of tests."""


def platform_blocks() -> dict[str, wiring.Component]:
    """Return the blocks of all ``PLATFORM_BENCHES``, by the name of their module."""
    return {name: block for made in PLATFORM_BENCHES.values() for name, block in made().items()}


class Workbench(wiring.Component):
    """Blocks side by side, not connected with each other. The workbench has their ports, with the
    block's name as a prefix.
    """

    def __init__(self, blocks: Mapping[str, wiring.Component]):
        self.blocks = blocks
        super().__init__({name: Out(block.signature) for name, block in blocks.items()})

    @property
    def ports(self) -> list[str]:
        """Return the names of the ports in Verilog, including clock and reset."""
        paths = (path for path, _, _ in self.signature.flatten(self))
        return ["clk", "rst", *("__".join(map(str, path)) for path in paths)]

    def elaborate(self, platform):
        m = Module()
        for name, block in self.blocks.items():
            m.submodules[name] = block
            # `connect` takes no flipped arrays of streams.
            ports = block.signature.flatten(getattr(self, name))
            for (_, member, inner), (_, _, outer) in zip(
                block.signature.flatten(block), ports, strict=True
            ):
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m
