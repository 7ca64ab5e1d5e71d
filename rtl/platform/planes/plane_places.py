"""Place of a plane: the words that hold it, and the part of them within the source."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from adq.rtl import bit_slice
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.walk_layouts import COORDINATE_BITS, word_log
from adq.rtl.port_types import Aggregate

__all__ = ["locate"]


def locate(
    m: Module,
    parameters: PlatformParameters,
    settings: Aggregate,
    words: Aggregate,
    *,
    y: Aggregate,
    x: Aggregate,
    block: Aggregate,
    nothing: Value,
) -> None:
    """Find the words of a vector's first plane, and the part of them that is the plane.

    Combinational.

    Parameters
    ----------
    settings : :func:`adq.rtl.platform.planes.walk_layouts.walk_layout`
        Settings of the layer.
    words : :func:`adq.rtl.platform.planes.walk_layouts.words_layout`
        Driven with what is found.
    y, x
        Position of the vector's pixel, along each axis.
    block : :func:`adq.rtl.platform.planes.walk_layouts.row_block_layout`
        What the row block adds to it.
    nothing
        There is no such row block: no bit of the words is the plane's.
    """
    s = settings
    bits, log = parameters.rows, word_log(parameters)
    row = Signal(signed(COORDINATE_BITS))
    column = Signal(signed(COORDINATE_BITS))
    place = Signal.like(x.place)
    m.d.comb += [
        row.eq(y.pixel + block.y.pixel),
        column.eq(x.pixel + block.x.pixel),
        place.eq(x.place + block.place),
    ]
    offset = place[:log]

    # Bits before the source's first column, and up to its last one. What is compared with them
    # does not wait for them to be limited to a word.
    before = Signal(COORDINATE_BITS + log)
    left = Signal(signed(COORDINATE_BITS + 1))
    up_to = Signal(signed(COORDINATE_BITS + log + 1))
    inside = (row >= 0) & (row < s.height) & ~nothing & (left > 0)
    beyond = Signal()  # the word ends before the source's last column
    starts = Signal(range(bits + 1))
    m.d.comb += [
        before.eq((-column)[:COORDINATE_BITS] << s.pitch_log),
        left.eq(_left(m, s.width, x.pixel, block.x.pixel)),
        up_to.eq(left << s.pitch_log),
        beyond.eq(up_to[log:-1].any()),
        starts.eq(Mux(column >= 0, 0, Mux(before[log:].any(), bits, before[:log]))),
    ]
    ends = up_to[:log]
    some = inside & Mux(beyond, ~starts[log], starts[:log] < ends) & ~starts[log]
    m.d.comb += [
        words.address.eq(y.place + block.y.place + place[log:]),
        words.first.eq(some & (offset + starts < bits)),
        words.second.eq(some & Mux(beyond, offset != 0, offset + ends > bits)),
        words.part.offset.eq(offset),
        words.part.begin.eq(starts),
        words.part.end.eq(Mux(inside, Mux(beyond, bits, ends), 0)),
    ]


def _left(m: Module, width: Value, *columns: Value) -> Value:
    """Return a width less two columns, with one carry chain."""
    terms = [Signal(signed(COORDINATE_BITS + 1), name=f"left_term_{place}") for place in range(3)]
    m.d.comb += [
        terms[0].eq(width),
        *(term.eq(~column) for term, column in zip(terms[1:], columns, strict=True)),
    ]
    saved, carry = bit_slice.full_adder(m, *terms, name="left")
    # The complement of a number is its negative less 1. One of the two missing ones stands in the
    # lowest place of the carry; two ones below the lowest place carry the other one in.
    total = Cat(1, saved) + Cat(1, 1, carry[:-1])
    return total[1:]
