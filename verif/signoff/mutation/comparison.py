"""A tile and a changed one side by side, and whether anybody can tell them apart."""

from itertools import pairwise
from typing import ClassVar

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Shape,
    Signal,
)
from amaranth.lib import data, wiring

from adq.rtl.interface import Status, job_layout, result_layout
from adq.rtl.tile import Tile
from adq.verif.signoff.mutation.partial_sums import PartialSumHistory

__all__ = ["DIFFERS", "HOLDS", "Comparison"]

DIFFERS, HOLDS = "differs", "holds"
"""Outputs."""

JOBS_INSIDE = 8
"""More jobs than a tile holds between taking one and giving its last result."""


class Comparison(Elaboratable):
    """Feeds two tiles the same inputs, whatever they are, and watches all that their contract
    promises: every ``ready``, every counter, ``valid`` of the results, and of a result its marks
    and the lanes that mean something at the precision of its job.

    Parameters
    ----------
    tile : Tile
        Which both are.
    module : str
        Name of the module that both are instances of, a tile with an input ``select`` besides.
    select : str
    select_width : int

    Attributes
    ----------
    right, changed : str
        Inputs: what is selected in the tile that is right, and in the one compared with it.
    watched : list of str
        Wires inside the tile that its instances have as outputs.
    ports : list of Signal
        Inputs of the tiles; those two; and as outputs ``differs``, and ``holds``, which is high in
        every state that can be reached.
    """

    right: ClassVar[str] = "right_select"
    changed: ClassVar[str] = "changed_select"

    def __init__(self, tile: Tile, *, module: str, select: str, select_width: int):
        self.parameters = tile.parameters
        self.module = module
        self.select = select
        self.selects = {
            name: Signal(select_width, name=f"{name}_select") for name in ("right", "changed")
        }
        self.inputs, self.outputs = {}, {name: {} for name in self.selects}
        for path, member, _ in tile.signature.flatten(tile):
            name, shape = "__".join(map(str, path)), Shape.cast(member.shape)
            if member.flow is wiring.In:
                self.inputs[name] = Signal(shape, name=name)
            else:
                for instance, outputs in self.outputs.items():
                    outputs[name] = Signal(shape, name=f"{instance}_{name}")
        self.history = PartialSumHistory(self.parameters) if self.parameters.partial_sums else None
        self.watched = [*self.history.watched] if self.history else []
        self.differs, self.holds = Signal(name=DIFFERS), Signal(name=HOLDS)
        outputs = [self.differs, self.holds]
        self.ports = [*self.inputs.values(), *self.selects.values(), *outputs]

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        clock = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        inputs = {f"i_{name}": signal for name, signal in self.inputs.items()}
        for name, select in self.selects.items():
            outputs = {f"o_{port}": signal for port, signal in self.outputs[name].items()}
            more = {f"i_{self.select}": select}
            if name == "right":
                outputs |= {f"o_{wire}": self.history.watched[wire] for wire in self.watched}
            m.submodules[name] = Instance(self.module, **clock, **inputs, **outputs, **more)
        m.d.comb += self.holds.eq(1)
        if self.history:
            m.submodules.history = self.history
            m.d.comb += self.holds.eq(self.history.holds)

        right, changed = self.outputs["right"], self.outputs["changed"]
        job = data.View(job_layout(p), self.inputs["jobs__payload"])
        result, other = (
            data.View(result_layout(p), outputs["results__payload"]) for outputs in (right, changed)
        )

        # Weight bits of the jobs inside: the results offered are those of the oldest.
        taken, done = Signal(), Signal()
        precisions = [
            Signal(job.weight_bits.shape(), name=f"precision_{n}") for n in range(JOBS_INSIDE)
        ]
        inside = Signal(range(JOBS_INSIDE + 1))
        m.d.comb += [
            taken.eq(self.inputs["jobs__valid"] & right["jobs__ready"]),
            done.eq(right["results__valid"] & self.inputs["results__ready"] & result.last),
        ]
        m.d.sync += inside.eq(inside + taken - done)
        with m.If(done):
            m.d.sync += [now.eq(behind) for now, behind in pairwise(precisions)]
        with m.If(taken):
            m.d.sync += Array(precisions)[inside - done].eq(job.weight_bits)

        wrong_lanes = Signal(p.lanes)
        for lane in range(p.lanes):
            used = Cat(precisions[0] == n for n in p.weight_widths if lane % (n // 2) == 0).any()
            m.d.comb += wrong_lanes[lane].eq(used & (result.outputs[lane] != other.outputs[lane]))
        wrong_result = (
            (result.last != other.last)
            | (result.status != other.status)
            | ((result.status == Status.OK) & wrong_lanes.any())
        )
        wrong = [right[name] != changed[name] for name in right if name != "results__payload"]
        m.d.comb += self.differs.eq(Cat(wrong).any() | (right["results__valid"] & wrong_result))
        return m
