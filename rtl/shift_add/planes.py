"""Sums of bit planes: fuser and accumulators, from column counts to totals."""

import functools
import operator
from typing import NamedTuple, cast

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from adq.rtl import bit_slice
from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag, follow, is_one_of
from adq.rtl.port_types import Words
from adq.rtl.shift_add.accumulator import Accumulator
from adq.rtl.shift_add.fuser import Fuser

__all__ = ["Totals", "add_planes"]


class Totals(NamedTuple):
    """Totals of a plane, and the tag of the plane that they include."""

    tag: PlaneTag
    place: Signal
    """Bit position of the plane."""
    totals: dict[int, Value]
    """Total of each lane. Before the last plane of a vector, only its lowest bit is there."""


def add_planes(
    m: Module,
    p: TileParameters,
    fuser: Fuser,
    *,
    counts: Words,
    tag: PlaneTag,
    advance: Value,
) -> Totals:
    """Connect a fuser, and accumulators as submodules, to the counts of a plane.

    Latency: none to the totals for the ``direct_widths``, one cycle for wider weights.
    """
    # Sums of narrow weights enter the accumulators one stage earlier than sums of wide weights.
    # The bubble between jobs prevents a collision of the two. No bubble precedes the tag of a
    # malformed job, so that tag takes the longer path.
    direct = is_one_of(tag.weight_bits, p.direct_widths)
    waits = Signal()
    m.d.comb += waits.eq(~direct | (tag.status != Status.OK))
    waiting = follow(m, tag, advance, valid=tag.valid & waits, name="waiting_tag")
    entering = cast(PlaneTag, Signal(PlaneTag, name="entering_tag"))
    m.d.comb += entering.eq(Mux(waiting.valid, waiting, tag))
    m.d.comb += entering.valid.eq(waiting.valid | (tag.valid & ~waits))

    m.d.comb += [
        fuser.counts.eq(counts),
        fuser.weight_bits.eq(tag.weight_bits),
        fuser.step.eq(advance & tag.valid & waits & ~tag.zero),
    ]

    # Planes are counted again here, because the tag does not carry the plane index.
    counted = Signal(range(p.max_activation_bits))
    index = Signal.like(counted)
    m.d.comb += index.eq(Mux(entering.first, 0, counted))
    with m.If(advance & entering.valid & ~entering.last):
        m.d.sync += counted.eq(index + 1)

    # Narrow weights have their own accumulators, so that their late-arriving sums pass only a
    # short adder. For 8 and 16 bits, the lower half of the lanes serves both widths. Lanes that
    # serve the same widths share an accumulator.
    choices: dict[int, list[Value]] = {lane: [] for lane in range(p.lanes)}
    first = 0
    for widest in reversed(p.weight_widths):
        precisions = p.accumulator_weight_bits(widest)
        if widest in p.direct_widths:
            first = 0
        lanes = slice(first, p.outputs(widest))
        first = lanes.stop
        stage = tag if widest in p.direct_widths else waiting
        accumulator = _accumulator(
            m, p, fuser, tag=stage, advance=advance, precisions=precisions, lanes=lanes
        )
        used = stage.valid & is_one_of(stage.weight_bits, precisions)
        # Before the last plane only the lowest bit of each total is passed on, so that the
        # inputs of the result register do not toggle. With 2-bit weights this masking would
        # cost more than it saves, since planes are few and lanes are many.
        whole = used if widest == p.weight_widths[0] else used & stage.last
        for lane, natural_lane in enumerate(p.sliced_lanes[lanes]):
            total = Cat(word[lane] for word in accumulator.totals)
            choices[natural_lane].append(total & Cat(used, whole.replicate(len(total) - 1)))
    return Totals(
        tag=entering,
        place=index,
        totals={lane: functools.reduce(operator.or_, totals) for lane, totals in choices.items()},
    )


def _accumulator(
    m: Module,
    p: TileParameters,
    fuser: Fuser,
    *,
    tag: PlaneTag,
    advance: Value,
    precisions: list[int],
    lanes: slice,
) -> Accumulator:
    """Return an accumulator for ``lanes``, connected to the fused sums of ``precisions``."""
    widest = max(precisions)
    m.submodules[f"accumulator_{widest}"] = accumulator = Accumulator(
        lanes=lanes.stop - lanes.start,
        widths={n: p.plane_width(n) for n in precisions},
    )
    selects = []
    for n in precisions:
        fused = bit_slice.lanes_of(list(getattr(fuser, f"fused_{n}")), lanes)
        words = getattr(accumulator, f"sum_{n}")
        selects.append(getattr(accumulator, f"select_{n}"))
        m.d.comb += [word.eq(q) for word, q in zip(words, fused, strict=True)]
        m.d.comb += selects[-1].eq(tag.weight_bits[p.weight_widths.index(n)])
    # The last total goes to the result register, so the accumulator need not store it.
    m.d.comb += [
        accumulator.step.eq(advance & tag.valid & Cat(selects).any() & ~tag.last),
        accumulator.zero.eq(tag.zero),
        accumulator.first.eq(tag.first),
        accumulator.negative.eq(tag.negative),
    ]
    return accumulator
