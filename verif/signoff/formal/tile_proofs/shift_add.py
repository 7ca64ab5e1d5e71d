"""Properties of the whole shift-add: every vector leaves once and in order."""

from itertools import pairwise

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from adq.rtl.interface import Status
from adq.rtl.plane_tag import OF_VECTOR, PlaneTag
from adq.rtl.shift_add.shift_add import ShiftAdd
from adq.verif.signoff.formal.environment import drive_inputs, hold_offers
from adq.verif.signoff.formal.inside import Inside
from adq.verif.signoff.formal.tile_proofs.result_register import number_of_planes

__all__ = ["GivesResults", "order_of_tags", "tags_of_vectors"]


def takes_longer(tag):
    """Return whether a tag has the longer latency: those of wide weights and of malformed jobs."""
    return ~tag.weight_bits[:2].any() | (tag.status != Status.OK)


def of_vector(tag):
    """Return the fields of a tag that all planes of a vector share."""
    return Cat(getattr(tag, field) for field in OF_VECTOR)


def order_of_tags(m, check, *, tag, advance) -> Signal:
    """Assume or assert the order in which the tile sends tags: no tag with the shorter latency
    follows directly behind one with the longer latency.

    Parameters
    ----------
    check
        ``Assume`` where the shift-add is proved, ``Assert`` where the tile is.

    Returns
    -------
    behind_longer : Signal
        Whether the tag in front took the longer way.
    """
    behind_longer = Signal()
    with m.If(advance):
        m.d.sync += behind_longer.eq(tag.valid & takes_longer(tag))
    m.d.comb += check(~(behind_longer & tag.valid & ~takes_longer(tag)))
    return behind_longer


def tags_of_vectors(m, check, *, tag, advance, name: str) -> PlaneTag:
    """Assume or assert that all tags of a vector, from its first plane on, agree in the shared
    fields.

    Parameters
    ----------
    check
        ``Assume`` where the shift-add is proved, ``Assert`` where the tile is.

    Returns
    -------
    vector : PlaneTag
        The first of the vector sent last.
    """
    vector = Signal(PlaneTag, name=name)
    with m.If(advance & tag.valid & tag.first):
        m.d.sync += vector.eq(tag)
    m.d.comb += check(~tag.valid | tag.first | (of_vector(tag) == of_vector(vector)))
    return vector


class GivesResults(Elaboratable):
    """Each vector gives one result, in order, with its status and its last flag. The result stays
    unchanged until it is taken. Planes reach the result register numbered.
    """

    def __init__(self, shift_add: ShiftAdd):
        self.shift_add = shift_add

    def elaborate(self, platform):
        m = Module()
        shift_add, tag, results = self.shift_add, self.shift_add.tag, self.shift_add.results
        inside = Inside(shift_add)
        m.submodules.dut = inside.fragment
        drive_inputs(m, shift_add)
        hold_offers(m, results, Assert, name="results")

        sent = {"tag": tag, "advance": shift_add.advance}
        behind_longer = order_of_tags(m, Assume, **sent)
        vector = tags_of_vectors(m, Assume, **sent, name="vector_tag")

        def leaves(a_tag):
            return a_tag.valid & a_tag.last & a_tag.last_block

        def marks(a_tag):
            return Cat(a_tag.last_vector | (a_tag.status != Status.OK), a_tag.status.as_value())

        # A queue of what is on its way, the oldest first: a result is its head.
        waiting = PlaneTag(inside["waiting_tag"])
        most = 2
        queue = [Signal(4, name=f"queue_{place}") for place in range(most + 1)]
        length = Signal(range(most + 2))
        taken, enters = Signal(), Signal()
        m.d.comb += [
            taken.eq(results.valid & results.ready),
            enters.eq(shift_add.advance & leaves(tag)),
        ]
        m.d.sync += length.eq(length + enters - taken)
        with m.If(taken):
            m.d.sync += [now.eq(behind) for now, behind in pairwise(queue)]
        with m.If(enters):
            m.d.sync += Array(queue)[length - taken].eq(marks(tag))

        m.d.comb += Assert(~results.valid | (length > 0))
        with m.If(results.valid):
            m.d.comb += Assert(
                queue[0] == Cat(results.payload.last, results.payload.status.as_value())
            )

        # Inside, for induction: a result and the stage in front of it hold their places.
        with m.If(leaves(waiting)):
            m.d.comb += Assert(Array(queue)[results.valid] == marks(waiting))
        m.d.comb += Assert(length == results.valid + leaves(waiting))
        m.d.comb += Assert(waiting.valid == behind_longer)
        # What is said of a vector is copied with its first tag, and stays behind it.
        with m.If(takes_longer(vector)):
            m.d.comb += Assert(of_vector(waiting) == of_vector(vector))
        with m.Else():
            m.d.comb += Assert(~waiting.valid)

        # Planes reach the result register numbered one by one.
        collector = inside.part("collector")
        collected = PlaneTag(collector["tag"])
        next_index = number_of_planes(
            m,
            Assert,
            tag=collected,
            index=collector["index"],
            moves=shift_add.advance & collected.valid,
            name="next_index",
        )
        m.d.comb += Assert(inside["counted"] == next_index)
        if shift_add.parameters.partial_sums:
            # A sum goes to the buffer once: it never waits, as a result may.
            m.d.comb += Assert(~(collector["write"] & results.valid))

        m.d.comb += [
            Cover(length == most),
            Cover(results.valid & ~results.ready & (length == most)),
            Cover(taken & enters & (results.payload.status == Status.VECTORS)),
        ]
        return m
