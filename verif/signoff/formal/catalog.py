"""List of all proofs, with the size of each design and the bound of each proof."""

from collections.abc import Sequence

from adq.rtl.adder_trees import ARITHMETICS
from adq.rtl.divider import Divider
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.pim_tile.counters import PerformanceCounters
from adq.rtl.pim_tile.feeder import BitPlaneFeeder
from adq.rtl.pim_tile.sequencer import Sequencer
from adq.rtl.pim_tile.weight_array import WeightArray
from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.rtl.platform.conductor.conductor import Conductor
from adq.rtl.platform.grid.stack_adder import StackAdder
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.platform.results.requantizer import Requantizer
from adq.rtl.shift_add.accumulator import Accumulator
from adq.rtl.shift_add.fuser import Fuser
from adq.rtl.shift_add.partial_sums import PartialSumBuffer
from adq.rtl.shift_add.result_register import ResultRegister
from adq.rtl.shift_add.shift_add import ShiftAdd
from adq.rtl.tile import Tile
from adq.verif.signoff.formal.platform_proofs.accumulator_memory import KeepsSums
from adq.verif.signoff.formal.platform_proofs.conductor import StartsLayers
from adq.verif.signoff.formal.platform_proofs.divider import Divides
from adq.verif.signoff.formal.platform_proofs.requantizer import Requantizes
from adq.verif.signoff.formal.platform_proofs.stack_adder import AddsStack
from adq.verif.signoff.formal.platform_proofs.walker import FindsParts, WalksPlanes
from adq.verif.signoff.formal.proof import FormalError, Proof
from adq.verif.signoff.formal.tile_proofs.accumulator import AccumulatesPlanes
from adq.verif.signoff.formal.tile_proofs.column_counter import CountsOnes
from adq.verif.signoff.formal.tile_proofs.counters import CountsEachCycle
from adq.verif.signoff.formal.tile_proofs.feeder import GivesPlanes
from adq.verif.signoff.formal.tile_proofs.fuser import FusesColumns
from adq.verif.signoff.formal.tile_proofs.partial_sums import KeepsEntries
from adq.verif.signoff.formal.tile_proofs.product import SumsProducts
from adq.verif.signoff.formal.tile_proofs.result_register import PutsSumsTogether
from adq.verif.signoff.formal.tile_proofs.sequencer import RunsJobs
from adq.verif.signoff.formal.tile_proofs.shift_add import GivesResults
from adq.verif.signoff.formal.tile_proofs.tile import KeepsContracts, RunsJob
from adq.verif.signoff.formal.tile_proofs.weight_array import KeepsWeights

__all__ = ["PROOFS", "select"]


SMALL_PLATFORM = PlatformParameters(
    rows=16, columns=16, plane_memory_kib=1, accumulator_vectors=5, requantizers=1
)
"""Platform of one small tile, with a small plane memory. Pooling windows of two or four pixels
leave room in a half of its accumulator memory."""


def tile(rows: int, **others) -> TileParameters:
    """Return a tile with the minimum number of columns."""
    return TileParameters(rows=rows, columns=16, **others)


class TwoBeats(TileParameters):
    """A tile whose weight port takes several rows per beat, as tiles with many rows do."""

    load_beats = 2


def accumulator(parameters: TileParameters, widest: int) -> Accumulator:
    """Return an accumulator with two lanes, for weights of up to ``widest`` bits."""
    precisions = parameters.accumulator_weight_bits(widest)
    return Accumulator(lanes=2, widths={n: parameters.plane_width(n) for n in precisions})


def sum_of_products(*, rows: int, weight_bits: int, most_bits: int) -> Proof:
    """Return column counter and shift-add for a vector of ``rows`` activations of 1 to
    ``most_bits`` bits.
    """
    sizes = tile(rows, row_blocks=1)
    precision = {"weight_bits": weight_bits, "most_bits": most_bits}
    return Proof(
        name=f"shift_add.{weight_bits}x{most_bits}_bits_{rows}_rows",
        claim=f"{rows} weights of {weight_bits} bits by activations of up to {most_bits} sum up",
        design=lambda: SumsProducts(sizes, **precision),
        mode="bmc",
        depth=SumsProducts.cycles(sizes, **precision),
    )


def job(*, weight_bits: int, most_bits: int, rows: int = 1, row_blocks: int = 1) -> Proof:
    """Return a whole tile for a job of one vector with activations of 1 to ``most_bits`` bits."""
    blocks = f"_{row_blocks}_blocks" if row_blocks > 1 else ""
    sizes = tile(rows, vectors=1, row_blocks=row_blocks, partial_sums=row_blocks - 1)
    precision = {"weight_bits": weight_bits, "most_bits": most_bits}
    return Proof(
        name=f"tile.{weight_bits}x{most_bits}_bits_{rows}_rows{blocks}",
        claim=f"a job of {weight_bits} by up to {most_bits} bits gives the sum of its products",
        design=lambda: RunsJob(Tile(sizes), **precision),
        mode="bmc",
        depth=RunsJob.cycles(sizes, **precision),
    )


PROOFS = (
    *(
        Proof(
            name=f"column_counter.{arithmetic}_{rows}_rows",
            claim=f"of {rows} rows, a column's count is the number of products that are 1",
            design=lambda rows=rows, arithmetic=arithmetic: CountsOnes(
                ColumnCounter(tile(rows, arithmetic=arithmetic))
            ),
            mode="prove",
            depth=1,
        )
        for arithmetic in ARITHMETICS
        for rows in (1, 2, 3, 7, 8)
    ),
    *(
        Proof(
            name=f"fuser.{n}_bits",
            claim=f"{n} columns fuse into the sum of their counts, the top one negatively",
            design=lambda n=n: FusesColumns(Fuser(tile(3)), weight_bits=n),
            mode="prove",
            depth=3,
        )
        for n in TileParameters.weight_widths
    ),
    *(
        Proof(
            name=f"accumulator.up_to_{widest}_bits",
            claim="a total and the bits that left are the sum of the planes by bit weight",
            design=lambda widest=widest: AccumulatesPlanes(accumulator(tile(3), widest)),
            mode="prove",
            depth=2,
            cover_depth=4,
        )
        for widest in TileParameters.weight_widths
    ),
    Proof(
        name="result_register.sums",
        claim="a sum is its last total, in place, and the bits below, until the next bit comes",
        design=lambda: PutsSumsTogether(ResultRegister(tile(3))),
        mode="prove",
        depth=2,
        cover_depth=18,
    ),
    *(
        Proof(
            name=f"feeder.{rows}_rows",
            claim="a vector is offered as its bit planes, in order, each until it is taken",
            design=lambda rows=rows: GivesPlanes(BitPlaneFeeder(tile(rows))),
            mode="prove",
            depth=2,
            cover_depth=8,
        )
        for rows in (1, 3)
    ),
    *(
        Proof(
            name=f"weight_array.{sizes.rows}_rows_in_{sizes.weight_beats}_beats",
            claim="no beat is lost, repeated or overwritten, and products are of the plane taken",
            design=lambda sizes=sizes: KeepsWeights(WeightArray(sizes)),
            mode="prove",
            depth=2,
            cover_depth=2 * sizes.weight_beats + 8,
        )
        for sizes in (tile(1), tile(3), TwoBeats(rows=3, columns=16))
    ),
    Proof(
        name="sequencer.jobs",
        claim="a job runs each vector once through each block; a malformed one runs none",
        design=lambda: RunsJobs(Sequencer(tile(1, vectors=3, row_blocks=3, partial_sums=2))),
        mode="prove",
        depth=2,
        cover_depth=12,
    ),
    Proof(
        name="sequencer.jobs_of_one_block",
        claim="the same of a tile without a partial sum buffer",
        design=lambda: RunsJobs(Sequencer(tile(1, vectors=3, row_blocks=1, partial_sums=0))),
        mode="prove",
        depth=2,
        cover_depth=12,
    ),
    Proof(
        name="counters.each_cycle",
        claim="every counter has counted its cycles, planes or jobs since reset, and no others",
        design=lambda: CountsEachCycle(PerformanceCounters(max_planes=16, bits=32)),
        mode="prove",
        depth=4,
    ),
    Proof(
        name="partial_sums.entries",
        claim="a read gives what was last written to its entry",
        design=lambda: KeepsEntries(PartialSumBuffer(width=4, depth=3)),
        mode="prove",
        depth=2,
        cover_depth=8,
    ),
    Proof(
        name="shift_add.results",
        claim="each vector that leaves gives one result, in order, which stays until it is taken",
        design=lambda: GivesResults(ShiftAdd(tile(1, row_blocks=2, partial_sums=2))),
        mode="prove",
        depth=2,
        cover_depth=10,
    ),
    Proof(
        name="shift_add.results_of_one_block",
        claim="the same of a tile without a partial sum buffer",
        design=lambda: GivesResults(ShiftAdd(tile(1, row_blocks=1, partial_sums=0))),
        mode="prove",
        depth=2,
        cover_depth=10,
    ),
    sum_of_products(rows=2, weight_bits=2, most_bits=4),
    job(weight_bits=2, most_bits=4),
    job(weight_bits=4, most_bits=4),
    job(weight_bits=4, most_bits=2, rows=2),
    job(weight_bits=8, most_bits=2),
    job(weight_bits=16, most_bits=1),
    job(weight_bits=2, most_bits=2, row_blocks=2),
    Proof(
        name="accumulator_memory.sums",
        claim="a read gives the sum of a vector over the row blocks of its job; halves never mix",
        design=lambda: KeepsSums(
            AccumulatorMemory(
                PlatformParameters(
                    rows=16, columns=16, accumulator_vectors=3, accumulator_bits=16, requantizers=1
                )
            )
        ),
        mode="prove",
        depth=2,
        cover_depth=12,
    ),
    Proof(
        name="stack_adder.totals",
        claim="totals are the sums of a vector over the tiles of a stack, in the layer's bits",
        design=lambda: AddsStack(
            StackAdder(PlatformParameters(rows=16, columns=16, stack=3, plane_banks=8))
        ),
        mode="prove",
        depth=2,
        cover_depth=4,
    ),
    Proof(
        name="divider.quotient",
        claim="divisor times quotient and the rest are the dividend, and the rest is the smaller",
        design=lambda: Divides(Divider(5, 3)),
        mode="prove",
        depth=2,
        cover_depth=8,
    ),
    *(
        Proof(
            name=f"conductor.layers_{units}",
            claim="a descriptor starts one layer, with settings that stand until it has ended",
            design=lambda clusters=clusters: StartsLayers(
                Conductor(
                    PlatformParameters(rows=16, columns=16, clusters=clusters, requantizers=1)
                )
            ),
            mode="prove",
            depth=62,
            engine="pdr",
        )
        for units, clusters in (("alone", 1), ("of_two_clusters", 2))
    ),
    Proof(
        name="requantizer.activations",
        claim="a result is the accumulator times M, with skip and constant, shifted and clamped",
        design=lambda: Requantizes(
            Requantizer(3, multiplier_bits=4, activation_bits=3, total_bits=9)
        ),
        mode="prove",
        depth=2,
        cover_depth=6,
    ),
    *(
        Proof(
            name=f"walker.{claim}",
            claim=text,
            design=lambda claim=claim: WalksPlanes(Walker(SMALL_PLATFORM), claim=claim),
            mode="prove",
            depth=1,
            cover_depth=12,
        )
        for claim, text in (
            ("order", "planes come in the order of jobs, with their tags, and wait for their turn"),
            ("rows", "a plane's row is that of its window, pixel and place in the kernel"),
            ("columns", "a plane's column is that of its window, pixel and place in the kernel"),
            ("places", "the walker's sums of steps in memory are the products of counts and steps"),
            ("addresses", "a plane's word and offset follow from image, window, pixel and kernel"),
        )
    ),
    Proof(
        name="walker.parts",
        claim="a bit of a plane counts if its pixel is within the source; then its word is fetched",
        design=lambda: FindsParts(SMALL_PLATFORM),
        mode="prove",
        depth=1,
    ),
    Proof(
        name="tile.contracts",
        claim="the tile keeps the stream rules, and uses its parts as their proofs assume",
        design=lambda: KeepsContracts(Tile(tile(1, vectors=2, row_blocks=2, partial_sums=2))),
        mode="prove",
        depth=10,
        engine="pdr",
    ),
)


def select(beginnings: Sequence[str]) -> list[Proof]:
    """Return the proofs whose names begin with one of ``beginnings``, or all proofs if it is empty.

    Raises
    ------
    FormalError
        If one of them begins no name.
    """
    for beginning in beginnings:
        if not any(proof.name.startswith(beginning) for proof in PROOFS):
            components = dict.fromkeys(proof.name.partition(".")[0] for proof in PROOFS)
            raise FormalError(
                f"no proof's name begins with {beginning!r}; they are of {', '.join(components)}"
            )
    return [p for p in PROOFS if not beginnings or p.name.startswith(tuple(beginnings))]
