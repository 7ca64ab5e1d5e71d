"""Properties of the bit-plane feeder."""

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from adq.rtl.pim_tile.feeder import BitPlaneFeeder
from adq.verif.signoff.formal.environment import drive_inputs, hold_offers
from adq.verif.signoff.formal.inside import Inside

__all__ = ["GivesPlanes", "use_of_bits"]


def use_of_bits(m, check, *, activation_bits, take, loaded, accepted, vector_bits, most) -> None:
    """Assume or assert how the tile uses the feeder: the number of bits stays that of a job while
    its vectors are processed, and only planes that are offered are taken.

    Parameters
    ----------
    check
        ``Assume`` where the feeder is proved, ``Assert`` where the tile is.
    """
    with m.If(accepted):
        m.d.comb += check((activation_bits >= 1) & (activation_bits <= most))
    with m.If(loaded):
        m.d.comb += check(activation_bits == vector_bits)
    with m.Else():
        m.d.comb += check(~take)


class GivesPlanes(Elaboratable):
    """Every accepted vector is offered as its bit planes, least significant first, up to its
    highest non-zero plane. Each plane is offered until it is taken. No other planes are offered.
    """

    def __init__(self, feeder: BitPlaneFeeder):
        self.feeder = feeder

    def elaborate(self, platform):
        p = self.feeder.parameters
        bits = p.max_activation_bits
        m = Module()
        feeder = self.feeder
        inside = Inside(feeder)
        m.submodules.dut = inside.fragment
        drive_inputs(m, feeder)
        hold_offers(m, feeder.activations, Assume, name="activations")

        accepted = feeder.activations.valid & feeder.activations.ready
        used = [feeder.activation_bits > bit for bit in range(bits)]
        loaded, index, highest = Signal(), Signal(range(bits)), Signal(range(bits))
        vector_bits = Signal.like(feeder.activation_bits)
        planes = [Signal(p.rows, name=f"plane_{bit}") for bit in range(bits)]
        with m.If(feeder.take):
            m.d.sync += index.eq(index + 1)
            with m.If(index == highest):
                m.d.sync += loaded.eq(0)
        with m.If(accepted):
            m.d.sync += [loaded.eq(1), index.eq(0), highest.eq(0)]
            m.d.sync += vector_bits.eq(feeder.activation_bits)
            for bit, plane in enumerate(planes):
                incoming = Cat(word[bit] for word in feeder.activations.payload)
                m.d.sync += plane.eq(incoming)
                with m.If(used[bit] & incoming.any()):
                    m.d.sync += highest.eq(bit)

        use_of_bits(
            m,
            Assume,
            activation_bits=feeder.activation_bits,
            take=feeder.take,
            loaded=loaded,
            accepted=accepted,
            vector_bits=vector_bits,
            most=bits,
        )

        plane = Array(planes)[index]
        m.d.comb += [
            Assert(feeder.loaded == loaded),
            Assert(
                feeder.activations.ready == (feeder.fetch & (~loaded | feeder.take & feeder.last))
            ),
        ]
        with m.If(loaded):
            m.d.comb += [
                Assert(feeder.plane == plane),
                Assert(feeder.index == index),
                Assert(feeder.zero == ~plane.any()),
                Assert(feeder.first == (index == 0)),
                Assert(feeder.last == (index == highest)),
                Assert(feeder.skipped == vector_bits - 1 - highest),
                Assert(index <= highest),
                Assert(highest < vector_bits),
                # The last plane has a bit set, or is the only one.
                Assert(~feeder.last | ~feeder.zero | feeder.first),
            ]
            # Inside, for induction.
            for bit in range(bits):
                with m.If(vector_bits > bit):
                    m.d.comb += Assert(inside[f"vector_{bit}"] == planes[bit])
                with m.If((highest < bit) & (vector_bits > bit)):
                    m.d.comb += Assert(planes[bit] == 0)
            m.d.comb += Assert(Array(planes)[highest].any() | (highest == 0))
        with m.Else():
            m.d.comb += Assert(feeder.first)
        m.d.comb += [
            Cover(loaded & feeder.zero & ~feeder.last & (index > 0)),
            Cover(loaded & feeder.first & feeder.last & (vector_bits == bits)),
            Cover(loaded & (index > 0) & accepted),
        ]
        return m
