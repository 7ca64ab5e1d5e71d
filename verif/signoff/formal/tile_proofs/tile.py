"""Properties of the whole tile."""

from amaranth.hdl import Array, Assert, Assume, Cover, Elaboratable, Module, Mux, Signal, signed

from adq.rtl.interface import Counter, Status
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.tile import Tile
from adq.verif.signoff.formal.environment import any_value, drive_inputs, hold_offers, never_reset
from adq.verif.signoff.formal.inside import Inside
from adq.verif.signoff.formal.tile_proofs.feeder import use_of_bits
from adq.verif.signoff.formal.tile_proofs.shift_add import order_of_tags, tags_of_vectors
from adq.verif.signoff.formal.tile_proofs.weight_array import use_of_banks

__all__ = ["KeepsContracts", "RunsJob"]


class KeepsContracts(Elaboratable):
    """Results follow the stream rules, every cycle is counted by exactly one counter, and the parts
    of the tile use each other as their proofs assume.

    Whatever comes on the ports, and whenever.
    """

    def __init__(self, tile: Tile):
        self.tile = tile

    def elaborate(self, platform):
        m = Module()
        tile = self.tile
        inside = Inside(tile)
        m.submodules.dut = inside.fragment
        drive_inputs(m, tile)
        for name in ("jobs", "weights", "activations"):
            hold_offers(m, getattr(tile, name), Assume, name=name)
        hold_offers(m, tile.results, Assert, name="results")
        m.d.comb += Assert(inside["activity"] < Counter.PLANES_SKIPPED)

        array, feeder = inside.part("weight_array"), inside.part("feeder")
        use_of_banks(
            m,
            Assert,
            step=inside["step"],
            bank=inside["bank"],
            release=inside["release"],
            full=array["full"],
        )
        activations, bits = tile.activations, inside["activation_bits"]
        accepted = activations.valid & activations.ready
        vector_bits = Signal.like(bits, name="vector_bits")
        with m.If(accepted):
            m.d.sync += vector_bits.eq(bits)
        use_of_bits(
            m,
            Assert,
            activation_bits=bits,
            take=inside["take"],
            loaded=feeder["loaded"],
            accepted=accepted,
            vector_bits=vector_bits,
            most=tile.parameters.max_activation_bits,
        )
        advance = ~tile.results.valid | tile.results.ready
        order_of_tags(m, Assert, tag=PlaneTag(inside["tag"]), advance=advance)
        tags = {"sequencer": inside.part("sequencer")["tag"], "plane": inside["tag"]}
        for name, tag in tags.items():
            tag = PlaneTag(tag)
            tags_of_vectors(m, Assert, tag=tag, advance=advance, name=f"{name}_vector_tag")

        results = tile.results
        m.d.comb += [
            Cover(results.valid & (results.payload.status == Status.OK)),
            Cover(results.valid & (results.payload.status != Status.OK)),
        ]
        return m


class RunsJob(Elaboratable):
    """A job of one vector returns the sum of its products once, for unknown operands, any precision
    up to ``most_bits`` and any sign.

    Everything is offered from the first cycle on and results are taken at once, so that the whole
    job lies in ``cycles`` cycles: a proof of that depth is complete for it.
    """

    def __init__(self, tile: Tile, *, weight_bits: int, most_bits: int):
        self.tile = tile
        self.weight_bits = weight_bits
        self.most_bits = most_bits

    @staticmethod
    def cycles(parameters: TileParameters, *, weight_bits: int, most_bits: int) -> int:
        """Return the cycles from reset to the cycle after the result, by the tile's own formula."""
        blocks = [parameters.block_cycles([most_bits])] * parameters.row_blocks
        return parameters.sequence_cycles([(weight_bits, blocks)]) + 1

    def elaborate(self, platform):
        p, kw = self.tile.parameters, self.weight_bits
        m = Module()
        m.submodules.dut = tile = self.tile
        drive_inputs(m, tile, leave=("jobs", "weights", "activations", "results"))
        never_reset(m)
        m.d.comb += tile.results.ready.eq(1)

        bits = any_value(m, range(self.most_bits + 1), name="bits")
        negative = any_value(m, 1, name="signed")
        m.d.comb += Assume((bits > 0) & (bits <= self.most_bits))
        output = any_value(m, range(p.outputs(kw)), name="output")
        m.d.comb += Assume(output < p.outputs(kw))

        m.d.comb += [
            tile.jobs.payload.weight_bits.eq(kw),
            tile.jobs.payload.activation_bits.eq(bits),
            tile.jobs.payload.signed.eq(negative),
            tile.jobs.payload.vectors.eq(1),
            tile.jobs.payload.row_blocks.eq(p.row_blocks),
        ]
        weights, vectors, expected = [], [], 0
        for block in range(p.row_blocks):
            vectors.append([])
            for row in range(p.rows):
                row_bits = any_value(m, p.columns, name=f"weights_{block}_{row}")
                word = any_value(m, self.most_bits, name=f"word_{block}_{row}")
                weight = any_value(m, signed(kw), name=f"weight_{block}_{row}")
                value = Signal(signed(self.most_bits + 1), name=f"value_{block}_{row}")
                m.d.comb += Assume(row_bits.word_select(output, kw) == weight.as_unsigned())
                with m.Switch(bits):
                    for n in range(1, self.most_bits + 1):
                        with m.Case(n):
                            m.d.comb += value.eq(Mux(negative, word[:n].as_signed(), word[:n]))
                weights.append(row_bits)
                vectors[-1].append(word)
                expected = expected + weight * value
        offered = {"jobs": None, "weights": weights, "activations": vectors}
        for name, beats in offered.items():
            stream = getattr(tile, name)
            count = 1 if beats is None else len(beats)
            beat = Signal(range(count + 1), name=f"{name}_beat")
            m.d.comb += stream.valid.eq(beat < count)
            with m.If(stream.valid & stream.ready):
                m.d.sync += beat.eq(beat + 1)
            if name == "weights":
                m.d.comb += stream.payload[0].eq(Array(beats)[beat])
            elif name == "activations":
                for row in range(p.rows):
                    m.d.comb += stream.payload[row].eq(Array(b[row] for b in beats)[beat])

        results, done = tile.results, Signal()
        with m.If(results.valid):
            m.d.sync += done.eq(1)
            lanes = [results.payload.outputs[o * kw // 2] for o in range(p.outputs(kw))]
            m.d.comb += [
                Assert(~done),
                Assert(Array(lanes)[output] == expected),
                Assert(results.payload.last),
                Assert(results.payload.status == Status.OK),
            ]
        cycles = self.cycles(p, weight_bits=kw, most_bits=self.most_bits)
        cycle = Signal(range(cycles))
        m.d.sync += cycle.eq(Mux(cycle == cycles - 1, cycle, cycle + 1))
        m.d.comb += Assert(done | (cycle < cycles - 1))
        m.d.comb += [
            Cover(done & (negative == sign) & (bits == n))
            for sign in (0, 1)
            for n in range(1, self.most_bits + 1)
        ]
        return m
