"""Properties of the walker."""

from collections.abc import Sequence

from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    Const,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)
from amaranth.lib import data
from amaranth.utils import exact_log2

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_places import locate
from adq.rtl.platform.planes.walk_layouts import (
    COORDINATE_BITS,
    part_layout,
    row_block_layout,
    taken_layout,
    walk_layout,
    walk_window_layout,
    words_layout,
)
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.port_types import structure
from adq.verif.signoff.formal.environment import any_value, drive_inputs
from adq.verif.signoff.formal.inside import Inside

__all__ = ["FindsParts", "WalksPlanes"]

CLAIMS = {
    "order": (),
    "rows": ("order",),
    "columns": ("order",),
    "places": ("order",),
    "addresses": ("order", "places"),
}
"""Parts of what is claimed, each of which has a proof of its own, and the parts that it assumes."""

WINDOWS = ("images", "windows_y", "windows_x")
BLOCKS = ("kernel_y", "kernel_x", "kernel_words")
PIXELS = ("pool_y", "pool_x")
LOOPS = (*WINDOWS, *BLOCKS, *PIXELS)
"""Loops of a walk, outer ones first, each of one or two rounds. Settings of the same names are the
numbers of rounds, less one.
"""

STEPS = {"windows": "window", "pool": "pixel", "kernel": "kernel"}
"""Step of an axis that a round of its loop adds."""


class WalksPlanes(Elaboratable):
    """Planes are fetched in the order of jobs, each with its tag and from its place.

    The order is that of nested counters, which count a vector when the walker takes it. The place
    of its planes follows from them by products, where the walker adds up steps: row, column and
    address, for any steps, padding, sizes and places of the source. The part of its words is the
    one that :class:`FindsParts` is about. A plane waits for its weights, and a job for its half of
    the accumulator memory. Nothing is fetched behind the last group of outputs.

    Loops have one or two rounds; groups of outputs and planes are any number.

    Parameters
    ----------
    claim : str
        One of ``CLAIMS``, the part that is proved.
    """

    def __init__(self, walker: Walker, *, claim: str):
        assert walker.parameters.units == 1
        assert claim in CLAIMS
        self.walker = walker
        self.claim = claim

    def elaborate(self, platform):
        m = Module()
        dut = self.walker
        inside = Inside(dut)
        m.submodules.dut = inside.fragment
        p = dut.parameters
        drive_inputs(m, dut, leave=("settings",))
        settings = any_value(m, Value.cast(dut.settings).shape(), name="settings")
        m.d.comb += [Value.cast(dut.settings).eq(settings), Assume(~(dut.start & dut.active))]
        s = data.View(dut.settings.shape(), settings)
        self.assume_settings(m, s)

        # ---- Nested counters: of the vector that is taken next, and of the one that is fetched.
        counts = data.StructLayout(dict.fromkeys(LOOPS, 1))
        at, chunk = structure(counts, name="at"), structure(counts, name="chunk_at")
        room = Signal(range(p.accumulator_vectors + 1), name="room_at")
        left = Signal(16, name="outputs_left")
        running = Signal()
        job_begins = Signal(init=1)
        takes = inside["takes"]
        last_window, last_block, last_pixel = (
            Cat(at[name] == s[name] for name in names).all() for names in (WINDOWS, BLOCKS, PIXELS)
        )
        ends_block = last_pixel & ((room < 2 * s.window) | last_window)
        with m.If(takes):
            m.d.sync += _counts_on(s, at, PIXELS)
            m.d.sync += job_begins.eq(ends_block & last_block)
            with m.If(last_pixel & ~ends_block):
                m.d.sync += _counts_on(s, at, WINDOWS)
                m.d.sync += room.eq(room - s.window)
            with m.If(ends_block):
                m.d.sync += _counts_on(s, at, BLOCKS)
                m.d.sync += room.eq(p.accumulator_vectors)
                with m.If(last_block):
                    m.d.sync += _counts_on(s, at, WINDOWS)
                    m.d.sync += _counts_on(s, at, WINDOWS, to=chunk)
                with m.Else():
                    m.d.sync += [at[name].eq(chunk[name]) for name in WINDOWS]
            with m.If(ends_block & last_block & last_window):
                m.d.sync += [left.eq(left - s.group), running.eq(left > s.group)]
        with m.If(dut.start):
            m.d.sync += [
                at.eq(0),
                chunk.eq(0),
                room.eq(p.accumulator_vectors),
                left.eq(s.outputs),
                running.eq(1),
            ]
        taken_now = data.StructLayout({"at": counts, "begins_job": 1, "ends_block": 1})
        now = structure(taken_now, name="now_at")
        holds = Signal()
        plane = Signal(4, name="plane_at")
        issues = dut.tag.valid
        last_plane = plane == s.planes
        planes = Signal(p.address_bits, name="planes_at")  # words from the first plane to this one
        with m.If(issues):
            m.d.sync += [plane.eq(plane + 1), planes.eq(planes + s.plane_step)]
            m.d.sync += now.begins_job.eq(0)
            with m.If(last_plane):
                m.d.sync += [plane.eq(0), planes.eq(0), holds.eq(0)]
        with m.If(takes):
            m.d.sync += [
                holds.eq(1),
                now.at.eq(at),
                now.begins_job.eq(job_begins),
                now.ends_block.eq(ends_block),
            ]
            # No vector is taken before the planes of the one before it have been fetched.
            self.check(m, "order", running & (~holds | (issues & last_plane)))

        # ---- Tags, banks and halves.
        bank = Signal(name="bank_at")
        half = Signal(name="half_at")
        spent = Signal(2, name="banks_spent")  # not seen empty since they were used
        taken = Signal(2, name="halves_taken")  # not seen occupied since they were used
        ends_bank = issues & last_plane & now.ends_block
        begins_job = issues & now.begins_job
        m.d.sync += [
            bank.eq(bank ^ ends_bank),
            half.eq(half ^ begins_job),
            spent.eq((spent & dut.full) | (ends_bank << bank)),
            taken.eq((taken & dut.free) | (begins_job << half)),
        ]
        tag = dut.tag
        first_block_now = ~Cat(now.at[name] for name in BLOCKS).any()
        last_block_now = Cat(now.at[name] == s[name] for name in BLOCKS).all()
        with m.If(issues):
            self.check(
                m,
                "order",
                holds,
                (dut.full & ~spent).bit_select(bank, 1),
                ~now.begins_job | (dut.free & ~taken).bit_select(half, 1),
                tag.first == (plane == 0),
                tag.last == last_plane,
                tag.negative == (last_plane & s.signed),
                tag.first_block == first_block_now,
                tag.last_block == last_block_now,
                tag.last_vector == now.ends_block,
                tag.bank == bank,
                tag.weight_bits == s.weight_bits,
            )
        self.check(m, "order", dut.active == (running | holds), issues == (dut.asks & dut.go))

        # ---- Places of the planes that are fetched, and the part that was found with them.
        in_source, place = self.places(m, s, now.at, LOOPS, "now")[2:]
        log = exact_log2(p.rows)
        address = Signal(p.address_bits)
        m.d.comb += address.eq(in_source + place[log:] + planes)
        fetched = data.View(taken_layout(p), inside["now"])
        found = data.View(words_layout(p), inside["located"])
        row, column = self.places(m, s, at, LOOPS, "at")[:2]
        part = structure(part_layout(p.rows), name="part_at")
        first, second = Signal(name="first_at"), Signal(name="second_at")
        with m.If(takes):
            m.d.sync += [part.eq(found.part), first.eq(found.first), second.eq(found.second)]
            self.check(m, "rows", inside["row"] == row)
            self.check(m, "columns", inside["column"] == column)
        with m.If(holds):
            self.check(m, "addresses", dut.fetch.address == address, part.offset == place[:log])
            self.check(
                m, "order", dut.part == part, fetched.first == first, fetched.second == second
            )
        self.check(
            m,
            "order",
            dut.fetch.first == (dut.asks & first),
            dut.fetch.second == (dut.asks & second),
        )

        # ---- Induction needs the walker's registers, told by the counters.
        same = {
            "outputs": left,
            "valid": running,
            "fetching": holds,
            "begins_job": job_begins,
            "plane": plane,
            "bank": bank,
            "half": half,
            "spent": spent,
            "taken": taken,
        }
        self.check(m, "order", *(inside[name] == signal for name, signal in same.items()))
        self.check(
            m,
            "order",
            *(~(running | holds) | (at[name] <= s[name]) for name in LOOPS),
            *(~(running | holds) | (chunk[name] <= s[name]) for name in WINDOWS),
            *(~holds | (now.at[name] <= s[name]) for name in LOOPS),
            plane <= s.planes,
            holds | (plane == 0),
            (plane != 0) | (planes == 0),
            ~running | ((room >= s.window) & (room <= p.accumulator_vectors)),
        )
        with m.If(running):
            self.check(m, "order", inside["room"] == room - s.window)
            self.help_induction(m, s, inside, at, chunk)
        with m.If(holds):
            self.check(
                m,
                "order",
                fetched.begins_job == now.begins_job,
                fetched.first_block == first_block_now,
                fetched.last_block == last_block_now,
                fetched.last_vector == now.ends_block,
            )
        m.d.comb += [
            Cover(issues & now.at.images & now.at.windows_y),
            Cover(issues & now.at.pool_y & now.at.pool_x & (plane == 1)),
            Cover(issues & Cat(now.at[name] for name in BLOCKS).all()),
            Cover(issues & Cat(chunk[name] for name in WINDOWS).any()),
            Cover(issues & first & second),
            Cover(running & (left != s.outputs)),
            Cover(~dut.active & bank & half),
        ]
        return m

    def assume_settings(self, m: Module, s) -> None:
        """Assume settings as the conductor makes them."""
        p = self.walker.parameters
        m.d.comb += [
            *(Assume(s[name] <= 1) for name in LOOPS),
            Assume(s.window == Mux(s.pool_y[0], 2, 1) << s.pool_x[0]),
            Assume(s.window <= p.accumulator_vectors),
            Assume((s.group != 0) & (s.outputs != 0)),
            Assume(s.pitch_log <= exact_log2(p.rows)),
        ]

    def check(self, m: Module, group: str, *conditions: Value) -> None:
        """Assert what the proof claims, and assume what the proofs before it claim."""
        if group == self.claim:
            m.d.comb += [Assert(condition) for condition in conditions]
        elif group in CLAIMS[self.claim]:
            m.d.comb += [Assume(condition) for condition in conditions]

    def places(
        self, m: Module, s, at, loops: Sequence[str], name: str
    ) -> tuple[Signal, Signal, Signal, Signal]:
        """Return row and column of a vector's first pixel, the word where its row begins, and the
        bit that it begins at, by products of steps and of the counts of some loops.
        """
        p = self.walker.parameters
        row = Signal(signed(COORDINATE_BITS), name=f"{name}_row")
        column = Signal(signed(COORDINATE_BITS), name=f"{name}_column")
        in_source = Signal(p.address_bits, name=f"{name}_in_source")
        place = Signal(len(s.x.origin.place), name=f"{name}_place")

        def steps(direction: str, what: str, origin: Value | int, rest: Value | int = 0) -> Value:
            """Add up steps in the order in which solvers find them in the walker."""
            vector, block = origin, rest
            for loop, step in STEPS.items():
                if f"{loop}_{direction}" in loops:
                    term = Mux(at[f"{loop}_{direction}"], s[direction][step][what], 0)
                    vector, block = (
                        (vector, term + block) if loop == "kernel" else (vector + term, block)
                    )
            return vector + block

        origin = Mux(at.images, _second_image(s), s.y.origin.place) if "images" in loops else 0
        word = Mux(at.kernel_words, p.rows, 0) if "kernel_words" in loops else 0
        first_row, first_column, first_place = (
            (s.y.origin.pixel, s.x.origin.pixel, s.x.origin.place)
            if "images" in loops
            else (0, 0, 0)
        )
        m.d.comb += [
            row.eq(steps("y", "pixel", first_row)),
            column.eq(steps("x", "pixel", first_column)),
            in_source.eq(steps("y", "place", origin)),
            place.eq(steps("x", "place", first_place, word)),
        ]
        return row, column, in_source, place

    def help_induction(self, m: Module, s, inside, at, chunk) -> None:
        """Assert that the walker's sums are the products of counts and steps."""
        p = self.walker.parameters
        for name, counts in (("window", at), ("chunk", chunk)):
            window = data.View(walk_window_layout(p), inside[name])
            row, column, in_source, place = self.places(m, s, counts, WINDOWS, name)
            slot = Mux(s.slot == s.slots, 0, s.slot + 1)
            second = _second_image(s)[: p.address_bits]
            self.check(
                m,
                "order",
                window.image == counts.images,
                window.slot == Mux(counts.images, slot[:15], s.slot),
                window.top == counts.windows_y,
                window.left == counts.windows_x,
            )
            self.check(m, "rows", window.y.pixel == row)
            self.check(m, "columns", window.x.pixel == column)
            self.check(
                m,
                "places",
                window.image_place == Mux(counts.images, second, s.y.origin.place),
                window.y.place == in_source,
                window.x.place == place,
            )
        of_window = walk_window_layout(p)
        row, column, in_source, place = self.places(m, s, at, (*WINDOWS, *PIXELS), "vector")
        y = data.View(of_window["y"].shape, inside["y"])
        x = data.View(of_window["x"].shape, inside["x"])
        self.check(m, "order", inside["down"] == at.pool_y, inside["right"] == at.pool_x)
        self.check(m, "rows", y.pixel == row)
        self.check(m, "columns", x.pixel == column)
        self.check(m, "places", y.place == in_source, x.place == place)
        block = data.View(row_block_layout(p), inside["block"])
        row, column, in_source, place = self.places(m, s, at, BLOCKS, "block_at")
        self.check(
            m,
            "order",
            block.row == at.kernel_y,
            block.column == at.kernel_x,
            block.word == at.kernel_words,
        )
        self.check(m, "rows", block.y.pixel == row)
        self.check(m, "columns", block.x.pixel == column)
        self.check(
            m,
            "places",
            block.y.place == in_source,
            block.x.place == Mux(at.kernel_x, s.x.kernel.place, 0),
            block.place == place,
        )


class FindsParts(Elaboratable):
    """A bit of a plane is within the source where its pixel is, and its word is fetched then.

    The pixel of a bit is that of the window and the place in the kernel, and those that share its
    word behind it.
    """

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters

    def elaborate(self, platform):
        m = Module()
        p = self.parameters
        log = exact_log2(p.rows)
        window, kernel = walk_window_layout(p), row_block_layout(p)

        def unknown(layout, name: str) -> data.View:
            return data.View(layout, any_value(m, layout.size, name=name))

        y, x = (unknown(window[axis].shape, axis) for axis in ("y", "x"))
        block = unknown(kernel, "block")
        nothing = any_value(m, 1, name="nothing")
        s = unknown(walk_layout(p), "settings")
        # Sums of two coordinates stay within their bits.
        limit = 1 << (COORDINATE_BITS - 2)
        m.d.comb += [
            Assume(s.pitch_log <= log),
            *(
                Assume((position.pixel >= -limit) & (position.pixel < limit))
                for position in (y, x, block.y, block.x)
            ),
        ]
        words = structure(words_layout(p), name="words")
        locate(m, p, s, words, y=y, x=x, block=block, nothing=nothing)

        row, column = y.pixel + block.y.pixel, x.pixel + block.x.pixel
        pixels = [column + (Const(bit, log) >> s.pitch_log) for bit in range(p.rows)]
        within = Cat(
            ~nothing & (row >= 0) & (row < s.height) & (pixel >= 0) & (pixel < s.width)
            for pixel in pixels
        )
        place = (x.place + block.place)[: len(x.place)]
        of_words = Signal(2 * p.rows)
        part = words.part
        m.d.comb += of_words.eq(within << place[:log])
        m.d.comb += [
            Assert(part.offset == place[:log]),
            Assert(words.first == of_words[: p.rows].any()),
            Assert(words.second == of_words[p.rows :].any()),
            *(
                Assert(((part.begin <= bit) & (part.end > bit)) == within[bit])
                for bit in range(p.rows)
            ),
            Cover(words.first & words.second & (column < 0)),
            Cover(~words.first & words.second & (row > 0)),
            Cover(words.first & ~within.all() & (column > 0) & (s.pitch_log == 2)),
        ]
        return m


def _second_image(s) -> Value:
    """Return the word of the origin of the second image, whose slot may be the first one."""
    return Mux(s.slot == s.slots, s.slot_zero, s.y.origin.place + s.image_step)


def _counts_on(s, at, names: Sequence[str], *, to=None) -> list:
    """Return the assignments by which nested loops count on, outer ones first; behind the last
    round of all they begin again.
    """
    target = at if to is None else to
    counts = []
    for place, name in enumerate(names):
        inner = Cat(at[each] == s[each] for each in names[place + 1 :])
        following = Mux(at[name] == s[name], 0, 1)
        counts.append(target[name].eq(Mux(inner.all(), following, at[name])))
    return counts
