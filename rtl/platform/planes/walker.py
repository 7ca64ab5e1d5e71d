"""Walker: where in the plane memory the planes of a layer's windows lie, in the order of jobs."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import Status
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_memory import fetch_layout
from adq.rtl.platform.planes.plane_places import locate
from adq.rtl.platform.planes.walk_layouts import (
    BLOCK_BITS,
    COORDINATE_BITS,
    axis_layouts,
    part_layout,
    row_block_layout,
    taken_layout,
    walk_layout,
    walk_window_layout,
    words_layout,
)
from adq.rtl.platform.planes.windows import WINDOW_BITS, share_layout
from adq.rtl.port_types import Aggregate, Component, structure

__all__ = ["Walker"]


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
    settings : :func:`adq.rtl.platform.planes.walk_layouts.walk_layout`, In
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
    part : :func:`adq.rtl.platform.planes.walk_layouts.part_layout`, Out
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
        y_layout, x_layout = axis_layouts(p)
        window_layout, block_layout = walk_window_layout(p), row_block_layout(p)
        first_of_all = structure(window_layout, name="first_of_all")  # first of the layer
        first_window = first_of_all  # first of the unit
        if several:
            first_window = structure(window_layout, name="first_window")
        chunk = structure(window_layout, name="chunk")  # first of the chunk
        window = structure(window_layout, name="window")  # that of the vector
        next_window = structure(window_layout, name="next_window")  # that behind it
        y = structure(y_layout, name="y")  # the vector's pixel
        x = structure(x_layout, name="x")
        down = Signal(6)  # and its place in the window: row
        right = Signal(6)  # and column
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
        last_row = Signal()
        last_column = Signal()
        m.d.comb += [
            last_image.eq(window.image == s.images),
            last_row.eq(window.top == s.windows_y),
            last_column.eq(window.left == s.windows_x),
            next_window.eq(window),
        ]
        skips_row = Signal()  # on the way to the first window: a row
        skips_image = Signal()  # or an image
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
        block = structure(block_layout, name="block")
        ahead = structure(block_layout, name="ahead") if p.stack > 1 else block  # the next one
        next_block = structure(block_layout, name="next_block")  # that behind it
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
        last_pixel = Signal()  # of the window
        last_window = Signal()  # of all
        ends_block = Signal()
        first_block = Signal()
        last_block = Signal()
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
        begins_block = Signal()  # the next block begins
        restarts = Signal()  # and is the first one
        waits = Signal()  # the next block is not there yet
        nothing = Signal()  # this block is empty
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
            base = Signal(BLOCK_BITS)  # first block of the round
            next_base = Signal(BLOCK_BITS)  # and of the next one
            step = Signal(range(p.stack + 1))
            place = Signal(range(p.stack))
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
                # Both comparisons are ready before the plane memory's grant, on which it depends
                # whether the blocks begin again.
                one_round = step >= s.blocks
                with m.If(Mux(restarts, one_round, base + 2 * step >= s.blocks)):
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

        of_words = words_layout(p)
        now = structure(taken_layout(p), name="now")
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
        located = structure(of_words, name="located")
        locate(m, p, s, located, y=y, x=x, block=block, nothing=nothing)
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
            m.d.sync += [now[name].eq(located[name]) for name in of_words.members]

        # A bank or a half that has been used counts as such until its bit has fallen.
        bank = Signal()
        half = Signal()
        spent = Signal(p.tile.banks)
        taken = Signal(2)
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
