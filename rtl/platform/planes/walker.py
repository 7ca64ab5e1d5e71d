"""Walker: where in the plane memory the planes of a layer's windows lie, in the order of jobs."""

from typing import cast

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl import bit_slice
from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_memory import fetch_layout
from adq.rtl.platform.planes.windows import WINDOW_BITS, share_layout
from adq.rtl.platform.results.drain_settings import GROUP_BITS
from adq.rtl.port_types import Aggregate, Component

__all__ = ["COORDINATE_BITS", "Walker", "part_layout", "walk_layout"]

BLOCK_BITS = 30
"""Bits of a count of row blocks, whose weights lie in a program."""

COORDINATE_BITS = 24
"""Bits of a row or a column of the source, which also counts what lies outside of it: every
descriptor whose fields are in their ranges stays within them."""


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


def _axis_layout(place_bits: int) -> data.StructLayout:
    """Return the layout of a position along an axis: pixels, and its part of an address."""
    return data.StructLayout({"pixel": signed(COORDINATE_BITS), "place": place_bits})


def walk_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a layer's settings.

    Counts are one less than what they count. Places along y are words, places along x bits; both
    are taken modulo the size of the memory.

    Where tiles are stacked, ``stacked`` says that they share the row blocks of an output, of which
    ``blocks`` is the number, not one less.
    """
    address, place = parameters.address_bits, parameters.address_bits + _word_log(parameters)
    steps_y = {name: _axis_layout(address) for name in ("origin", "pixel", "window", "kernel")}
    steps_x = {name: _axis_layout(place) for name in ("origin", "pixel", "window", "kernel")}
    return data.StructLayout(
        {
            "weight_bits": len(TileParameters.weight_widths),  # one-hot
            "outputs": 16,
            "group": GROUP_BITS,  # outputs from a job to that of the next group
            "planes": 4,
            "signed": 1,
            "plane_step": address,
            "slot": 15,  # slot of the first image
            "slots": 15,
            "slot_zero": address,  # place of the origin in slot 0; that of `slot` is in `y`
            "image_step": address,
            "images": 15,
            "height": 16,  # of the source; not one less
            "width": 16,
            "pitch_log": range(_word_log(parameters) + 1),  # bits of a pixel in a word
            "y": data.StructLayout(steps_y),
            "x": data.StructLayout(steps_x),
            "windows_y": 17,
            "windows_x": 17,
            "pool_y": 6,
            "pool_x": 6,
            "window": range(parameters.accumulator_vectors + 1),  # pixels of a pooling window
            "kernel_y": 10,
            "kernel_x": 17,
            "kernel_words": 16,
        }
        | ({"stacked": 1, "blocks": BLOCK_BITS} if parameters.stack > 1 else {})
    )


def part_layout(word_bits: int) -> data.StructLayout:
    """Return the layout of the part of two words that a plane is: ``word_bits`` bits of them from
    bit ``offset``, of which those from ``begin`` to ``end`` are within the source.
    """
    return data.StructLayout(
        {
            "offset": range(word_bits),
            "begin": range(word_bits + 1),
            "end": range(word_bits + 1),
        }
    )


def _record(layout: data.StructLayout, name: str) -> Aggregate:
    """Return a signal of a structure."""
    return cast(Aggregate, Signal(layout, name=name))


def _word_log(parameters: PlatformParameters) -> int:
    return exact_log2(parameters.rows)


class Walker(Component):
    """Gives, in each cycle, the words that hold a plane, and the plane's tag::

        for group of outputs:
            for chunk of pooling windows:                        # a job
                for row block: kernel row, kernel column, word:
                    for window of the chunk: image, y, x:
                        for pixel of the window: y, x:           # a vector
                            for plane:

    A chunk has as many windows as half of the accumulator memory holds. Where pixels share words,
    a step along the kernel's columns is a word's worth of pixels.

    Where units share a layer's pixels, a chunk begins at any window: the walker steps there before
    it begins, by images, then by rows, then by windows. Where they share row blocks, a unit takes
    every ``stack``-th one from its own place on; a place behind the last row block is a plane of 0.

    Coordinates and addresses are added up step by step: there is no multiplier. A window that
    reaches outside of the source is told by its coordinates; nothing is fetched of what lies
    outside.

    A job begins when its half of the accumulator memory is free: halves alternate. A row block
    begins when its weights are there: banks alternate.

    Latency: the first plane is fetched two cycles behind ``start``; where there are several units,
    one more, and one for each step to the first window or row block. Throughput: one plane per
    cycle, without gaps between vectors, row blocks and jobs. Row blocks of a stack take at least
    ``stack`` cycles each.

    Parameters
    ----------
    parameters
        Sizes of the platform.
    place : int
        Place of the unit in its stack.

    Members
    -------
    settings : :func:`walk_layout`, In
        They stand while the walker is active.
    start : In
        Begin a layer with the settings. The walker must not be active.
    full : In
        One bit per bank: the bank holds weights.
    free : In
        One bit per half of the accumulator memory: a job may begin in it. After a job begins, the
        bit must fall, and rise when the half is free again.
    share : :func:`adq.rtl.platform.planes.windows.share_layout`, In
        Windows that are the unit's, if there are several units.
    asks : Out
        A plane is to be fetched: its weights and its half of the accumulator memory are there.
    go : In
        It is fetched in this cycle.
    fetch : :func:`adq.rtl.platform.planes.plane_memory.fetch_layout`, Out
        Words of the plane that is asked for.
    part : :func:`part_layout`, Out
        The part of the words that is the plane.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the plane that is fetched in this cycle. ``zero`` is not known yet.
    active : Out
        Planes of the layer are still to be fetched.
    starved : Out
        A plane waits for weights.
    """

    settings: Aggregate
    start: Signal
    full: Signal
    free: Signal
    share: Aggregate
    asks: Signal
    go: Signal
    fetch: Aggregate
    part: Aggregate
    tag: PlaneTag
    active: Signal
    starved: Signal

    def __init__(self, parameters: PlatformParameters, *, place: int = 0):
        self.parameters = p = parameters
        self.place = place
        share = {"share": In(share_layout())} if p.units > 1 else {}
        super().__init__(
            {
                **share,
                "asks": Out(1),
                "go": In(1),
                "settings": In(walk_layout(p)),
                "start": In(1),
                "full": In(p.tile.banks),
                "free": In(2),
                "fetch": Out(fetch_layout(p.address_bits)),
                "part": Out(part_layout(p.rows)),
                "tag": Out(PlaneTag),
                "active": Out(1),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        s = self.settings

        # ---- The next vector: loops, and the sums of their steps.

        several = p.units > 1
        y_layout, x_layout = (_axis_layout(s[axis].origin.place.shape().width) for axis in "yx")
        window_layout = data.StructLayout(
            {
                "image": 15,
                "slot": 15,
                "image_place": p.address_bits,  # of the origin in the image's slot
                "top": 17,
                "left": 17,
                "y": y_layout,
                "x": x_layout,
                **({"behind": WINDOW_BITS} if several else {}),  # windows of the unit behind it
            }
        )
        first_of_all = _record(window_layout, "first_of_all")  # first of the layer
        first_window = first_of_all  # first of the unit
        if several:
            first_window = _record(window_layout, "first_window")
        chunk = _record(window_layout, "chunk")  # first of the chunk
        window = _record(window_layout, "window")  # that of the vector
        next_window = _record(window_layout, "next_window")  # that behind it
        y, x = _record(y_layout, "y"), _record(x_layout, "x")  # the vector's pixel
        down, right = Signal(6), Signal(6)  # and its place in the window
        m.d.comb += [
            first_of_all.slot.eq(s.slot),
            first_of_all.image_place.eq(s.y.origin.place),
            first_of_all.y.eq(s.y.origin),
            first_of_all.x.eq(s.x.origin),
        ]

        def moved(axis: Aggregate, step: Aggregate) -> Value:
            return Cat(
                (axis.pixel + step.pixel)[:COORDINATE_BITS],
                (axis.place + step.place)[: len(axis.place)],
            )

        last_image = Signal()
        last_row, last_column = Signal(), Signal()
        m.d.comb += [
            last_image.eq(window.image == s.images),
            last_row.eq(window.top == s.windows_y),
            last_column.eq(window.left == s.windows_x),
            next_window.eq(window),
        ]
        skips_row, skips_image = Signal(), Signal()  # on the way to the first window
        with m.If(~last_column & ~skips_row):
            m.d.comb += [
                next_window.left.eq(window.left + 1),
                next_window.x.eq(moved(window.x, s.x.window)),
            ]
        with m.Else():
            m.d.comb += [next_window.left.eq(0), next_window.x.eq(s.x.origin)]
            with m.If(~last_row & ~skips_image):
                m.d.comb += [
                    next_window.top.eq(window.top + 1),
                    next_window.y.eq(moved(window.y, s.y.window)),
                ]
            with m.Else():
                wraps = window.slot == s.slots
                place = Signal(p.address_bits)
                m.d.comb += [
                    place.eq(Mux(wraps, s.slot_zero, window.image_place + s.image_step)),
                    next_window.top.eq(0),
                    next_window.image.eq(window.image + 1),
                    next_window.slot.eq(Mux(wraps, 0, window.slot + 1)),
                    next_window.image_place.eq(place),
                    next_window.y.pixel.eq(s.y.origin.pixel),
                    next_window.y.place.eq(place),
                ]

        # The row block: its place in the kernel, and what that adds to the vector's.
        block_layout = data.StructLayout(
            {
                "row": 10,
                "column": 17,
                "word": 16,
                "y": y_layout,
                "x": x_layout,
                "place": len(x.place),  # that of the column, and of the word in it
            }
        )
        block = _record(block_layout, "block")
        ahead = _record(block_layout, "ahead") if p.stack > 1 else block  # the next one
        next_block = _record(block_layout, "next_block")  # that behind it
        m.d.comb += next_block.eq(ahead)
        with m.If(ahead.word != s.kernel_words):
            m.d.comb += [
                next_block.word.eq(ahead.word + 1),
                next_block.place.eq(ahead.place + p.rows),
            ]
        with m.Else():
            m.d.comb += next_block.word.eq(0)
            with m.If(ahead.column != s.kernel_x):
                m.d.comb += [
                    next_block.column.eq(ahead.column + 1),
                    next_block.x.eq(moved(ahead.x, s.x.kernel)),
                    next_block.place.eq(ahead.x.place + s.x.kernel.place),
                ]
            with m.Else():
                m.d.comb += [
                    next_block.column.eq(0),
                    next_block.x.eq(0),
                    next_block.place.eq(0),
                    next_block.row.eq(ahead.row + 1),
                    next_block.y.eq(moved(ahead.y, s.y.kernel)),
                ]

        outputs = Signal(16)  # that are not computed yet, with those of this group
        room = Signal(range(p.accumulator_vectors + 1))  # vectors that fit behind this window

        valid = Signal()
        takes = Signal()  # the vector is taken
        last_pixel, last_window = Signal(), Signal()  # of the window; of all
        ends_block, first_block, last_block = Signal(), Signal(), Signal()
        last_group = Signal()
        m.d.comb += [
            last_pixel.eq((down == s.pool_y) & (right == s.pool_x)),
            last_window.eq(
                (window.behind == 0) if several else (last_column & last_row & last_image)
            ),
            ends_block.eq(last_pixel & ((room < s.window) | last_window)),
            last_group.eq(outputs <= s.group),
        ]

        def enter(to: Aggregate) -> None:
            m.d.sync += [window.eq(to), y.eq(to.y), x.eq(to.x), down.eq(0), right.eq(0)]

        def begin_chunk() -> None:
            m.d.sync += room.eq(p.accumulator_vectors - s.window)

        # A unit of a stack steps to its next row block while it fetches planes of this one.
        begins_block, restarts = Signal(), Signal()  # the next block, or the first one, begins
        waits, nothing = Signal(), Signal()  # the next block is not there yet; this one is empty
        if p.stack == 1:
            m.d.comb += [
                first_block.eq((block.row == 0) & (block.column == 0) & (block.word == 0)),
                last_block.eq(
                    (block.row == s.kernel_y)
                    & (block.column == s.kernel_x)
                    & (block.word == s.kernel_words)
                ),
            ]
            with m.If(begins_block):
                m.d.sync += block.eq(Mux(restarts, 0, next_block.as_value()))
        else:
            base, next_base = Signal(BLOCK_BITS), Signal(BLOCK_BITS)  # first block of the round
            step, place = Signal(range(p.stack + 1)), Signal(range(p.stack))
            steps = Signal(range(p.stack + 1))
            m.d.comb += [
                step.eq(Mux(s.stacked, p.stack, 1)),
                place.eq(Mux(s.stacked, self.place, 0)),
                first_block.eq(base == 0),
                last_block.eq(base + step >= s.blocks),
                nothing.eq(base + place >= s.blocks),
                waits.eq(steps.any()),
                next_base.eq(Mux(restarts, 0, base + step)),
            ]
            with m.If(waits):
                m.d.sync += [ahead.eq(next_block), steps.eq(steps - 1)]
            with m.If(begins_block):
                m.d.sync += [base.eq(next_base), block.eq(ahead)]
                with m.If(next_base + step >= s.blocks):
                    m.d.sync += [ahead.eq(0), steps.eq(place)]
                with m.Else():
                    m.d.sync += [ahead.eq(next_block), steps.eq(step - 1)]
            with m.If(self.start):
                m.d.sync += [ahead.eq(0), steps.eq(place)]

        def begin_job(to: Aggregate) -> None:
            enter(to)
            begin_chunk()
            m.d.sync += chunk.eq(to)
            m.d.comb += [begins_block.eq(1), restarts.eq(1)]

        with m.If(takes):
            with m.If(~last_pixel):
                with m.If(right != s.pool_x):
                    m.d.sync += [right.eq(right + 1), x.eq(moved(x, s.x.pixel))]
                with m.Else():
                    m.d.sync += [
                        right.eq(0),
                        x.eq(window.x),
                        down.eq(down + 1),
                        y.eq(moved(y, s.y.pixel)),
                    ]
            with m.Elif(~ends_block):
                enter(next_window)
                m.d.sync += room.eq(room - s.window)
            with m.Elif(~last_block):
                enter(chunk)
                begin_chunk()
                m.d.comb += begins_block.eq(1)
            with m.Elif(~last_window):
                begin_job(next_window)
            with m.Else():
                begin_job(first_window)
                m.d.sync += [outputs.eq(outputs - s.group), valid.eq(~last_group)]
        with m.If(self.start):
            m.d.sync += outputs.eq(s.outputs)
        seeking = Signal()  # the unit's first window
        if several:
            seek = Signal(WINDOW_BITS)  # windows that are before it
            row = Signal(18)
            m.d.comb += [
                row.eq(s.windows_x + 1),
                skips_row.eq(seeking & (seek >= row)),
                skips_image.eq(seeking & (seek >= self.share.pixels)),
                next_window.behind.eq(window.behind - ~seeking),
                first_of_all.behind.eq(self.share.behind),
            ]
            with m.If(seeking):
                with m.If(seek.any()):
                    m.d.sync += window.eq(next_window)
                    m.d.sync += seek.eq(
                        seek - Mux(skips_image, self.share.pixels, Mux(skips_row, row, 1))
                    )
                with m.Elif(~waits):
                    begin_job(window)
                    m.d.sync += [first_window.eq(window), seeking.eq(0), valid.eq(1)]
            with m.If(self.start):
                m.d.sync += [window.eq(first_of_all), seek.eq(self.share.before), seeking.eq(1)]
        else:
            with m.If(self.start):
                begin_job(first_window)
                m.d.sync += valid.eq(1)

        # ---- The vector whose planes are fetched.

        words_layout = data.StructLayout(
            {"address": p.address_bits, "first": 1, "second": 1, "part": part_layout(p.rows)}
        )
        now = _record(
            data.StructLayout(
                {
                    **words_layout.members,
                    "begins_job": 1,
                    "first_block": 1,
                    "last_block": 1,
                    "last_vector": 1,
                }
            ),
            "now",
        )
        fetching = Signal()
        begins_job = Signal(init=1)  # the next vector is the first one of a job
        plane = Signal(4)
        last_plane = Signal()
        issues = Signal()
        m.d.comb += [
            last_plane.eq(plane == s.planes),
            takes.eq(valid & (~fetching | (issues & last_plane)) & ~(waits & ends_block)),
            self.active.eq(valid | fetching | seeking),
        ]
        located = _record(words_layout, "located")
        self.locate(m, located, y=y, x=x, block=block, nothing=nothing)
        with m.If(issues):
            m.d.sync += plane.eq(plane + 1)
            m.d.sync += now.address.eq(now.address + s.plane_step)
            m.d.sync += now.begins_job.eq(0)
            with m.If(last_plane):
                m.d.sync += [plane.eq(0), fetching.eq(0)]
        with m.If(takes):
            m.d.sync += [fetching.eq(1), begins_job.eq(ends_block & last_block)]
            m.d.sync += [
                now.begins_job.eq(begins_job),
                now.first_block.eq(first_block),
                now.last_block.eq(last_block),
                now.last_vector.eq(ends_block),
            ]
            m.d.sync += [now[name].eq(located[name]) for name in words_layout.members]

        # A bank or a half that has been used counts as such until its bit has fallen.
        bank, half = Signal(), Signal()
        spent, taken = Signal(p.tile.banks), Signal(2)
        ends_bank = issues & last_plane & now.last_vector
        loaded = (self.full & ~spent).bit_select(bank, 1)
        # The first unit of a stack stores the sums of all of them, and waits for room.
        stores = ~s.stacked if self.place else 1
        begins = issues & now.begins_job & stores
        m.d.comb += self.starved.eq(fetching & ~loaded)
        m.d.comb += self.asks.eq(
            fetching
            & loaded
            & (~(now.begins_job & stores) | (self.free & ~taken).bit_select(half, 1))
        )
        m.d.comb += issues.eq(self.asks & self.go)
        m.d.sync += [
            spent.eq((spent & self.full) | Mux(ends_bank, 1 << bank, 0)),
            taken.eq((taken & self.free) | Mux(begins, 1 << half, 0)),
            bank.eq(bank ^ ends_bank),
            half.eq(half ^ begins),
        ]

        m.d.comb += [
            self.fetch.address.eq(now.address),
            self.fetch.first.eq(self.asks & now.first),
            self.fetch.second.eq(self.asks & now.second),
            self.part.eq(now.part),
            self.tag.valid.eq(issues),
            self.tag.first.eq(plane == 0),
            self.tag.last.eq(last_plane),
            self.tag.negative.eq(s.signed & last_plane),
            self.tag.first_block.eq(now.first_block),
            self.tag.last_block.eq(now.last_block),
            self.tag.last_vector.eq(now.last_vector),
            self.tag.bank.eq(bank),
            self.tag.weight_bits.eq(s.weight_bits),
            self.tag["status"].eq(Status.OK),  # type checkers take `.status` for a `Status`
        ]
        return m

    def locate(
        self,
        m: Module,
        words: Aggregate,
        *,
        y: Aggregate,
        x: Aggregate,
        block: Aggregate,
        nothing: Value,
    ) -> None:
        """Find the words of a vector's first plane, and the part of them that is the plane."""
        p, s = self.parameters, self.settings
        bits, log = p.rows, _word_log(p)
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
