"""Order of results: which sums the requantizers take next, and where their results go."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.windows import WINDOW_BITS, share_layout
from adq.rtl.platform.results.drain_settings import PIXEL_BITS, PLACE_BITS, drain_layout, outputs_of
from adq.rtl.platform.stream_register import StreamRegister
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["ResultOrder", "step_layout"]


def step_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a step: some outputs of a vector, ``requantizers`` at a time."""
    p = parameters
    word_log = exact_log2(p.rows)
    return data.StructLayout(
        {
            "vector": range(p.accumulator_vectors),
            "slice": range(p.slices(2)),
            "count": range(p.requantizers + 1),  # outputs of the step
            "inside": 1,  # the pixel lies within the convolution's output
            "last_pixel": 1,  # of its pooling window
            "last_slice": 1,  # of its window
            "ends_job": 1,
            "ends_group": 1,
            "outputs": range(p.tile.lanes + 1),  # of the group
            "place": PLACE_BITS,  # of the first output of the window; in mode RAW, of the step
            "row": p.address_bits,  # word of the row in which the window's result lies
            "skip_address": p.address_bits,  # of the first output of the step
            "skip_offset": word_log,
        }
    )


class ResultOrder(Component):
    """Walks the sums of a layer in the order in which requantizers take them::

        for group of outputs:
            for window: image, y, x:                 # jobs end where the next window has no room
                for slice of the outputs of a vector:
                    for pixel of the window: y, x:   # a step

    Addresses are added up step by step: there is no multiplier.

    Where units share a layer's pixels, the block steps to the first window that is its own: by
    images, then by rows, then by windows.

    Latency: the first step is offered two cycles behind ``start``; where there are several units,
    one more, and one for each step to the first window. Throughput: a step per cycle.

    Members
    -------
    settings : :func:`adq.rtl.platform.results.drain_settings.drain_layout`, In
        They stand while the block is active.
    start : In
        Begin a layer. The block must not be active.
    share : :func:`adq.rtl.platform.planes.windows.share_layout`, In
        Windows that are the unit's, if there are several units.
    steps : stream of :func:`step_layout`, Out
    active : Out
        Steps are still to be taken.
    """

    settings: Aggregate
    start: Signal
    share: Aggregate
    steps: Stream
    active: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        share = {"share": In(share_layout())} if parameters.units > 1 else {}
        super().__init__(
            {
                **share,
                "settings": In(drain_layout(parameters)),
                "start": In(1),
                "steps": Out(stream.Signature(step_layout(parameters))),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        s = self.settings
        address, place = p.address_bits, len(s.skip.x)
        several = p.units > 1
        # The loops do not see in the same cycle whether a step is taken: with a skip connection,
        # this depends on the plane memory's grant, and on what all other drains write.
        m.submodules.register = register = StreamRegister(step_layout(p))
        connect(m, register.taken, flipped(self.steps))

        def tensor(place_bits: int) -> data.StructLayout:
            return data.StructLayout({"slot": 15, "image": address, "y": address, "x": place_bits})

        window_layout = data.StructLayout(
            {
                "image": 15,
                "top": 17,
                "left": 17,
                "row": signed(PIXEL_BITS),  # of the first pixel
                "column": signed(PIXEL_BITS),
                "target": tensor(PLACE_BITS),
                "skip": tensor(place),
                **({"behind": WINDOW_BITS} if several else {}),  # windows of the unit behind it
            }
        )
        first_of_all = structure(window_layout)
        first_window = first_of_all  # of the unit
        if several:
            first_window = structure(window_layout, name="first_window")
        window = structure(window_layout)
        next_window = structure(window_layout)
        m.d.comb += [
            first_of_all.row.eq(s.first_row),
            first_of_all.column.eq(s.first_column),
            next_window.eq(window),
        ]
        for name in ("target", "skip"):
            first, given = first_of_all[name], s[name]
            m.d.comb += [
                first.slot.eq(given.slot),
                first.image.eq(given.origin),
                first.y.eq(given.origin),
                first.x.eq(given.x),
            ]

        last_column = Signal()
        last_row = Signal()
        last_image = Signal()
        m.d.comb += [
            last_column.eq(window.left == s.windows_x),
            last_row.eq(window.top == s.windows_y),
            last_image.eq(window.image == s.images),
        ]
        seeking = Signal()  # the unit's first window
        skips_row = Signal()
        skips_image = Signal()
        with m.If(~(s.raw & seeking)):
            m.d.comb += next_window.target.x.eq(window.target.x + s.target.pitch)
        with m.If(~last_column & ~skips_row):
            m.d.comb += [
                next_window.left.eq(window.left + 1),
                next_window.column.eq(window.column + s.pool_stride_x),
                next_window.skip.x.eq(window.skip.x + s.skip.window_x),
            ]
        with m.Else():
            m.d.comb += [
                next_window.left.eq(0),
                next_window.column.eq(s.first_column),
                next_window.skip.x.eq(s.skip.x),
            ]
            with m.If(~s.raw):  # raw results follow each other
                m.d.comb += next_window.target.x.eq(s.target.x)
            with m.If(~last_row & ~skips_image):
                m.d.comb += [
                    next_window.top.eq(window.top + 1),
                    next_window.row.eq(window.row + s.pool_stride_y),
                    next_window.target.y.eq(window.target.y + s.target.row),
                    next_window.skip.y.eq(window.skip.y + s.skip.window_y),
                ]
            with m.Else():
                m.d.comb += [
                    next_window.top.eq(0),
                    next_window.row.eq(s.first_row),
                    next_window.image.eq(window.image + 1),
                ]
                for name in ("target", "skip"):
                    self.enter_image(m, next_window[name], window[name], s[name])

        # The pixel of the window, the slice of its outputs, the group of outputs.
        down = Signal(6)
        right = Signal(6)
        skip_y = Signal(address)
        skip_x = Signal(place)
        vector = Signal(range(p.accumulator_vectors))
        base = Signal(range(p.accumulator_vectors))
        room = Signal(range(p.accumulator_vectors + 1))  # vectors that fit behind the window
        which = Signal(range(p.slices(2)))
        lanes = Signal(range(p.tile.lanes + 1))  # outputs of a whole group
        outputs = Signal(range(p.tile.lanes + 1))  # of this one
        left = Signal(16)  # outputs that are not done, with those of this group
        slice_left = Signal(range(p.tile.lanes + 1))  # of the group, with those of this slice
        slice_first = Signal(range(p.tile.lanes + 1))
        # place of the group in a pixel
        target_first = Signal(17)
        skip_first = Signal(17)

        valid = Signal()
        takes = Signal()
        last_pixel = Signal()
        last_slice = Signal()
        last_window = Signal()
        last_group = Signal()
        ends_window = Signal()
        ends_job = Signal()
        m.d.comb += [
            last_pixel.eq((down == s.pool_y) & (right == s.pool_x)),
            last_slice.eq(slice_left <= p.requantizers),
            last_window.eq(
                (window.behind == 0) if several else (last_column & last_row & last_image)
            ),
            last_group.eq(left <= s.group),
            outputs.eq(Mux(left < lanes, left, lanes)),
            ends_window.eq(last_pixel & last_slice),
            ends_job.eq(ends_window & ((room < s.window) | last_window)),
            takes.eq(valid & register.given.ready),
            self.active.eq(valid | self.steps.valid | seeking),
        ]
        m.d.comb += lanes.eq(outputs_of(p, s.weight_bits))

        def enter(to: Aggregate) -> None:
            m.d.sync += [window.eq(to), skip_y.eq(to.skip.y), skip_x.eq(to.skip.x)]

        first_pixel = [down.eq(0), right.eq(0)]
        new_job = [vector.eq(0), base.eq(0), room.eq(p.accumulator_vectors - s.window)]
        with m.If(takes):
            m.d.sync += vector.eq(vector + 1)
            with m.If(~last_pixel):
                with m.If(right != s.pool_x):
                    m.d.sync += [right.eq(right + 1), skip_x.eq(skip_x + s.skip.pitch)]
                with m.Else():
                    m.d.sync += [
                        right.eq(0),
                        skip_x.eq(window.skip.x),
                        down.eq(down + 1),
                        skip_y.eq(skip_y + s.skip.row),
                    ]
            with m.Elif(~last_slice):
                enter(window)
                m.d.sync += [
                    *first_pixel,
                    vector.eq(base),
                    which.eq(which + 1),
                    slice_left.eq(slice_left - p.requantizers),
                    slice_first.eq(slice_first + p.requantizers),
                ]
            with m.Else():
                enter(next_window)
                m.d.sync += [
                    *first_pixel,
                    which.eq(0),
                    slice_left.eq(outputs),
                    slice_first.eq(0),
                    base.eq(base + s.window),
                    vector.eq(base + s.window),
                    room.eq(room - s.window),
                ]
                with m.If(ends_job):
                    m.d.sync += new_job
                with m.If(last_window):
                    rest = Signal(16)
                    m.d.comb += rest.eq(left - s.group)
                    enter(first_window)
                    m.d.sync += [
                        left.eq(rest),
                        slice_left.eq(Mux(rest < lanes, rest, lanes)),
                        target_first.eq(target_first + s.group),
                        skip_first.eq(skip_first + s.group),
                        valid.eq(~last_group),
                    ]
        if several:
            seek = Signal(WINDOW_BITS)  # windows that are before it
            row_windows = Signal(18)
            m.d.comb += [
                row_windows.eq(s.windows_x + 1),
                skips_row.eq(seeking & (seek >= row_windows)),
                skips_image.eq(seeking & (seek >= self.share.pixels)),
                next_window.behind.eq(window.behind - ~seeking),
                first_of_all.behind.eq(self.share.behind),
            ]
            with m.If(seeking):
                with m.If(seek.any()):
                    enter(next_window)
                    m.d.sync += seek.eq(
                        seek - Mux(skips_image, self.share.pixels, Mux(skips_row, row_windows, 1))
                    )
                with m.Else():
                    m.d.sync += [first_window.eq(window), seeking.eq(0), valid.eq(1)]
            with m.If(self.start):
                m.d.sync += [seek.eq(self.share.before), seeking.eq(1)]
        with m.If(self.start):
            enter(first_of_all)
            m.d.sync += [
                *first_pixel,
                *new_job,
                which.eq(0),
                left.eq(s.outputs),
                slice_left.eq(Mux(s.outputs < lanes, s.outputs, lanes)),
                slice_first.eq(0),
                target_first.eq(s.target.channel),
                skip_first.eq(s.skip.channel),
                valid.eq(0 if several else 1),
            ]

        # The state of the loops, and the sums that a step needs of it, are registered.
        step: Aggregate = register.given.payload
        row = Signal(signed(PIXEL_BITS))
        column = Signal(signed(PIXEL_BITS))
        skip_place = Signal(place)
        m.d.comb += [
            row.eq(window.row + down),
            column.eq(window.column + right),
            skip_place.eq(skip_x + (skip_first + slice_first)),
        ]
        m.d.comb += [
            register.given.valid.eq(valid),
            step.vector.eq(vector),
            step.slice.eq(which),
            step.count.eq(Mux(last_slice, slice_left, p.requantizers)),
            step.inside.eq((row >= 0) & (row < s.height) & (column >= 0) & (column < s.width)),
            step.last_pixel.eq(last_pixel),
            step.last_slice.eq(last_slice),
            step.ends_job.eq(ends_job),
            step.ends_group.eq(ends_window & last_window),
            step.outputs.eq(outputs),
            step.row.eq(window.target.y),
            step.place.eq(window.target.x + (target_first + Mux(s.raw, slice_first, 0))),
        ]
        with m.If(s.skips):
            m.d.comb += [
                step.skip_address.eq(skip_y + skip_place[len(step.skip_offset) :]),
                step.skip_offset.eq(skip_place),
            ]
        return m

    @staticmethod
    def enter_image(m: Module, to: Aggregate, before: Aggregate, given: Aggregate) -> None:
        """Set the first row of the next image; behind the last slot comes the first one."""
        wraps = before.slot == given.slots
        image = Signal.like(before.image)
        m.d.comb += [
            image.eq(Mux(wraps, given.slot_zero, before.image + given.image)),
            to.slot.eq(Mux(wraps, 0, before.slot + 1)),
            to.image.eq(image),
            to.y.eq(image),
        ]
