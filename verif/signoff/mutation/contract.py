"""Contracts of designs: the inputs that may come, and the bits of outputs that carry a value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from adq.rtl.interface import Status, job_layout, result_layout
from adq.rtl.parameters import TileParameters

__all__ = ["Contract", "ContractOf", "Ports", "tile_contract"]

Ports = Mapping[str, Signal]
"""Ports by their names in Verilog."""

JOBS_INSIDE = 8
"""More jobs than a tile holds between taking one and giving its last result."""


@dataclass(frozen=True)
class Contract:
    """Inputs that a design's surroundings may give, and bits of its outputs that they read.

    Attributes
    ----------
    masks : mapping of str to Value
        Bits that carry a value in this cycle, for outputs by name. All bits of other outputs do,
        but for the payload of a stream that is not valid.
    kept : Value
        True if the inputs of this cycle may come. From a cycle on in which they may not, until the
        next reset, outputs mean nothing.
    """

    masks: Mapping[str, Value] = field(default_factory=dict)
    kept: Value = field(default_factory=lambda: Const(1))


ContractOf = Callable[[Module, Ports, Ports], Contract]
"""Returns the contract of a design, given a module for what has to be remembered, the inputs, and
the outputs."""


def tile_contract(p: TileParameters) -> ContractOf:
    """Return the contract of a tile: of its results, meaningful are the flags and, unless the job
    is malformed, the lanes that its weight width uses.
    """
    return lambda m, inputs, outputs: Contract(
        masks={"results__payload": _meaningful_results(m, p, inputs, outputs)}
    )


def _meaningful_results(m: Module, p: TileParameters, inputs: Ports, outputs: Ports) -> Value:
    """Return a mask of the result payload.

    The weight widths of the jobs inside are kept in a queue, since results come in the order of
    their jobs.
    """
    job = data.View(job_layout(p), inputs["jobs__payload"])
    result = data.View(result_layout(p), outputs["results__payload"])
    taken, done = Signal(), Signal()
    widths = [Signal(job.weight_bits.shape(), name=f"width_{n}") for n in range(JOBS_INSIDE)]
    inside = Signal(range(JOBS_INSIDE + 1))
    m.d.comb += [
        taken.eq(inputs["jobs__valid"] & outputs["jobs__ready"]),
        done.eq(outputs["results__valid"] & inputs["results__ready"] & result.last),
    ]
    m.d.sync += inside.eq(inside + taken - done)
    with m.If(done):
        m.d.sync += [now.eq(behind) for now, behind in pairwise(widths)]
    with m.If(taken):
        m.d.sync += Array(widths)[inside - done].eq(job.weight_bits)

    mask = Signal(result_layout(p))
    m.d.comb += [mask.last.eq(1), mask.status.eq(~0)]
    for lane in range(p.lanes):
        used = Cat(widths[0] == n for n in p.weight_widths if lane % (n // 2) == 0).any()
        whole = (1 << len(Value.cast(mask.outputs[lane]))) - 1
        counts = used & (result.status == Status.OK)
        m.d.comb += Value.cast(mask.outputs[lane]).eq(Mux(counts, whole, 0))
    return mask.as_value()
