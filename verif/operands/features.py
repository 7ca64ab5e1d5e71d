"""Features of a list of jobs, computed from their operands, to which the energy model is fitted.

Nothing is simulated: the order in which planes reach the array is known, and with it what every
register and every adder of the array holds. Where a feature is a count of toggles it is exact,
`tests/test_windows.py` and `adq activity` hold it against the tile's RTL.

The tile is taken as it is after reset: zeros in both banks, all registers at zero.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

from adq.rtl.parameters import TileParameters
from adq.verif.operands.array_toggles import array_toggles, toggles
from adq.verif.operands.bit_planes import BitPlanes

if TYPE_CHECKING:
    from adq.verif.operands.jobs import Job

__all__ = ["FEATURES", "features_of"]

PLANES = 2**14
"""Planes that are counted at a time; a single row block can have more."""

FEATURES: dict[str, str] = {
    "cycles": "from the first beat offered to the last result",
    "jobs": "jobs",
    "vectors": "vectors, each once a row block",
    "planes": "planes that the array computes",
    "zero_planes": "planes with no bit set that cost a cycle",
    "skipped_planes": "leading planes that cost no cycle",
    "vector_bits": "register bits of the feeder that are clocked",
    "vector_toggles": "those that change",
    "plane_toggles": "bits that differ from the plane offered before",
    "plane_bits": "bits that are set in the planes offered",
    "line_toggles": "row lines that change",
    "product_toggles": "products of the array that change",
    "adder_toggles": "sums and carries of the column adders that change",
    "fused_bits": "register bits behind the fusing adders that are clocked",
    "pair_toggles": "bits of the sums of column pairs, of wider weights, that change",
    "quad_toggles": "bits of the sums of two pairs, of wider weights, that change",
    "octet_toggles": "bits of the sums of two quads, of wider weights, that change",
    "fused_toggles": "bits of the sums of whole weights, for one plane, that change",
    "term_toggles": "bits of what a plane adds to the accumulators that change",
    "total_toggles": "bits of the accumulators' sums, for every plane, that change",
    "lowest_toggles": "those of them that leave",
    "negative_sums": "sums of whole weights that a plane subtracts",
    "addend_toggles": "bits of what the planes before add to them that change",
    "accumulator_bits": "accumulator bits that are clocked",
    "accumulator_toggles": "those that change",
    "result_bits": "bits of the result register that are clocked",
    "result_toggles": "those that change",
    "last_bits": "bits that are set in the totals of last planes, which pass for a cycle",
    "index_toggles": "bits of the number of a vector's last plane that change",
    "placed_toggles": "bits that change where totals are put in their place",
    "output_toggles": "bits of the sums of vectors, in the making too, that change",
    "blocks": "weight blocks loaded",
    "beats": "beats of weights",
    "beat_bits": "register bits of the beat on its way to storage that are clocked",
    "beat_toggles": "those that change",
    "storage_bits": "weight bits written",
    "storage_toggles": "those that change",
}
"""Names of the features, and what each counts. From ``blocks`` on they are of loading weights."""


def features_of(parameters: TileParameters, jobs: Sequence["Job"]) -> dict[str, float]:
    """Return the features of consecutive jobs after reset, none of whose beats waits to be offered;
    see ``FEATURES``.
    """
    # The products are small: threads would only wait for each other.
    with _libraries().limit(limits=1, user_api="blas"):
        return _Run(parameters, jobs).features


class _Run:
    """Processes jobs in the order of the tile, and tracks the contents of its registers."""

    def __init__(self, parameters: TileParameters, jobs: Sequence["Job"]):
        self.parameters = parameters
        self.features = dict.fromkeys(FEATURES, 0.0)
        self.registers: dict[str, np.ndarray] = {}
        self.blocks = 0
        self.last_index = 0
        sequence = [(job.weight_bits, _block_planes(job)) for job in jobs]
        spans = parameters.block_spans(sequence)
        before = None
        for job, (_, counts) in zip(jobs, sequence, strict=True):
            follows = []
            for _ in counts:
                span = next(spans)
                follows.append(before is not None and span[0] == before[1] + 1)
                before = span
            self._job(job, counts, follows)
        self.features["cycles"] = parameters.sequence_cycles(sequence)
        self.features["jobs"] = len(jobs)

    def _add(self, name: str, value: "float | np.integer[Any]") -> None:
        self.features[name] += float(value)

    def _held(self, register: str, words: int) -> np.ndarray:
        """Return the contents of a register."""
        return self.registers.setdefault(register, np.zeros(words, np.int64))

    def _changes(
        self, register: str, values: np.ndarray, bits: int | np.ndarray, size: int | None = None
    ) -> int:
        """Return the number of bits that change in a register that takes the rows of ``values``
        (times, words).

        Only the low ``bits`` of a word, or of each word, are clocked, and those above keep what
        they hold. Of a register of ``size`` words in which fewer come, those stand as far apart as
        they can.
        """
        words = values.shape[1]
        held = self._held(register, size or words)
        held = held[:: len(held) // words]  # a view
        mask = np.left_shift(1, np.asarray(bits, np.int64)) - 1
        sequence = np.concatenate([held[None], (values & mask) | (held & ~mask)])
        held[:] = sequence[-1]
        return toggles((sequence[1:] ^ sequence[:-1]).view(np.uint64))

    def _job(self, job: "Job", counts: list[int], follows: list[bool]) -> None:
        """Process the row blocks of a job, in parts of at most ``PLANES`` planes."""
        states, bits = [], []
        for part in _parts(counts):
            of_part = _weight_bits(np.asarray(job.weights[part], np.int64), job.weight_bits)
            bits.append(of_part)
            states += self._part(job, part, of_part, follows[part])
        # Behind the last plane the lines fall.
        states.append((len(counts) - 1, np.zeros((1, self.parameters.rows), bool)))
        which = np.repeat([block for block, _ in states], [len(lines) for _, lines in states])
        lines = np.concatenate([lines for _, lines in states])
        products, adders = array_toggles(lines, which, np.concatenate(bits))
        self._add("product_toggles", products)
        self._add("adder_toggles", adders)

    def _part(
        self, job: "Job", part: slice, bits: np.ndarray, follows: list[bool]
    ) -> list[tuple[int, np.ndarray]]:
        """Count the features of some row blocks, whose weight bits (blocks, R, C) are given.

        What the registers hold goes on from block to block, so that the planes of all of them are
        one sequence. Returns the lines that the array sees, by number of block.
        """
        p, kx = self.parameters, job.activation_bits
        weights = np.asarray(job.weights[part], dtype=np.int64)  # (blocks, R, outputs)
        words = np.asarray(job.activations[part], dtype=np.int64) & (2**kx - 1)
        planes = BitPlanes(words.reshape(-1, p.rows), kx)
        lengths = planes.count.reshape(len(weights), -1).sum(axis=1)
        ends = np.cumsum(lengths)
        blocks = list(map(slice, ends - lengths, ends))  # planes of each
        self._load(bits)
        taken = planes.bits[planes.computed]  # (computed planes, R)
        self._add("vectors", len(planes.start))
        self._add("planes", len(taken))
        self._add("zero_planes", len(planes.bits) - len(taken))
        self._add("skipped_planes", planes.skipped)
        self._add("vector_bits", len(planes.start) * kx * p.rows)
        self._add("vector_toggles", self._changes("vector", planes.words, kx))
        self._add("plane_bits", np.count_nonzero(planes.bits))
        self._add("plane_toggles", self._changes("plane", planes.bits, 1))
        self._lines(planes, blocks)
        sums = _products(planes.bits, weights, blocks, job.weight_bits)  # (planes, outputs)
        if len(taken):
            self._fuse(planes, sums, bits, blocks, job.weight_bits)
        self._accumulate(planes, sums, job)

        low, states = np.zeros((1, p.rows), bool), []
        for place, block in enumerate(blocks):
            # The lines of a block that follows at once rise as those of the one before fall.
            if not (follows[place] and planes.computed[block.start]):
                states.append((part.start + place, low))
            states.append((part.start + place, planes.bits[block][planes.computed[block]]))
        return states

    def _load(self, bits: np.ndarray) -> None:
        """Load blocks of weight bits (blocks, R, C), beat by beat."""
        p = self.parameters
        # Weights are stored inverted.
        rows = p.weight_beats * p.rows_per_beat
        beats = np.ones((len(bits), rows, p.columns), np.uint8)
        beats[:, : p.rows] -= bits
        self._add("blocks", len(bits))
        self._add("beats", len(bits) * p.weight_beats)
        self._add("beat_bits", beats.size)
        in_turn = beats.reshape(len(bits) * p.weight_beats, -1)
        self._add("beat_toggles", self._changes("beat", in_turn, 1))
        self._add("storage_bits", bits.size)
        for place in range(min(p.banks, len(bits))):
            bank = f"bank_{(self.blocks + place) % p.banks}"
            stored = beats[place :: p.banks, : p.rows]
            changed = self._changes(bank, stored.reshape(len(stored), -1), 1)
            self._add("storage_toggles", changed)
        self.blocks += len(bits)

    def _lines(self, planes: BitPlanes, blocks: list[slice]) -> None:
        """Count the toggles of word lines, which are low before the first plane of a block and
        after the last.
        """
        low = np.zeros((1, self.parameters.rows), bool)
        for block in blocks:
            taken = planes.bits[block][planes.computed[block]]
            sequence = np.concatenate([low, taken, low])
            self._add("line_toggles", np.count_nonzero(sequence[1:] ^ sequence[:-1]))

    def _fuse(
        self, planes: BitPlanes, sums: np.ndarray, bits: np.ndarray, blocks: list[slice], kw: int
    ) -> None:
        """Count the toggles of the sums of pairs, quads and octets of columns, up to the sums of
        whole weights. Octets are registered. Planes without a set bit do not occur here.
        """
        p = self.parameters
        for columns, name in ((2, "pair"), (4, "quad"), (8, "octet")):
            if columns >= kw:
                continue
            grouped = bits.reshape(*bits.shape[:2], -1, columns).astype(np.int64)
            factors = np.tile(1 << np.arange(columns), (grouped.shape[2], 1))
            factors[kw // columns - 1 :: kw // columns, -1] *= -1
            matrices = (grouped * factors).sum(axis=3)
            of_columns = _products(planes.bits, matrices, blocks, columns)[planes.computed]
            width = p.fused_width(columns)
            self._add(f"{name}_toggles", self._changes(name, of_columns, width))
        fused = sums[planes.computed]
        if kw not in p.direct_widths:
            self._add("fused_bits", len(fused) * p.outputs(8) * p.plane_width(8))
        self._add("fused_toggles", self._changes(f"fused_{kw}", fused, p.fused_width(kw)))

    def _accumulate(self, planes: BitPlanes, sums: np.ndarray, job: "Job") -> None:
        """Accumulate the sums (planes, outputs) of planes."""
        p, kw = self.parameters, job.weight_bits
        width = p.total_width(kw)
        negative = np.zeros(len(sums), bool)
        if job.signed:
            negative = (planes.index == job.activation_bits - 1) & planes.computed
        # A plane that counts negatively enters inverted, and with a carry.
        terms = np.where(negative[:, None], ~sums, sums)
        self._add("term_toggles", self._changes("term", terms, width, p.lanes))
        self._add("negative_sums", np.count_nonzero(negative) * sums.shape[1])
        sums[negative] *= -1
        addends = np.zeros_like(sums)
        for step in range(1, int(planes.count.max())):
            at = planes.start[planes.count > step] + step
            addends[at] = (sums[at - 1] + addends[at - 1]) >> 1
        totals = sums + addends
        self._add("addend_toggles", self._changes("addend", addends, width, p.lanes))
        self._add("total_toggles", self._changes("total", totals, width, p.lanes))
        held = totals[~planes.ends] >> 1
        name = kw if kw in p.direct_widths else "wide"
        self._add("accumulator_bits", held.size * (width - 1))
        changed = self._changes(f"accumulator_{name}", held, width - 1, p.lanes)
        self._add("accumulator_toggles", changed)
        self._collect(planes, totals, width)

    def _collect(self, planes: BitPlanes, totals: np.ndarray, width: int) -> None:
        """Count the bits that the result register takes: the last total of a vector, and the lowest
        bit of the other totals at its position, in all lanes or only in the lanes of wide weights.
        """
        p = self.parameters
        outputs = totals.shape[1]
        wide = [p.outputs(n) for n in p.weight_widths if n not in p.direct_widths]
        lanes = max(wide) if outputs in wide else p.lanes
        lowest = np.zeros((len(totals), lanes), np.int64)
        lowest[:, :: lanes // outputs] = totals & 1
        last = totals[planes.ends]
        self._add("lowest_toggles", self._changes("lowest", lowest, 1, p.lanes))
        self._add("result_bits", last.size * width + np.count_nonzero(~planes.ends) * lanes)
        self._add("result_toggles", self._changes("result", last, width, p.lanes))
        self._add("last_bits", toggles((last & (1 << width) - 1).view(np.uint64)))

        # What stands in the register after each plane.
        before = np.cumsum(planes.ends) - 1  # the vector that ended last, none where negative
        index = np.where(before < 0, self.last_index, planes.count[before] - 1)[:, None]
        numbers = np.insert(planes.count - 1, 0, self.last_index)
        self._add("index_toggles", toggles(numbers[1:] ^ numbers[:-1]))
        held = self._held("last", p.lanes)[:: p.lanes // outputs]
        sums = np.where(before[:, None] < 0, held, last[before]) << index
        held[:], self.last_index = last[-1], planes.count[-1] - 1
        for place in range(p.max_activation_bits - 1):
            at = np.flatnonzero((planes.index == place) & ~planes.ends)
            name = f"low_{place}"
            bits = np.concatenate(
                [self._held(name, p.lanes)[None, :: p.lanes // lanes], lowest[at]]
            )
            self._add("result_toggles", self._changes(name, lowest[at], 1, p.lanes))
            written = np.searchsorted(at, np.arange(len(totals)), side="right")
            sums |= np.where(index > place, bits[written][:, :: lanes // outputs] << place, 0)
        self._add("output_toggles", self._changes("output", sums, p.accumulator_width, p.lanes))
        index = index[planes.ends]
        widths = [
            p.total_width(p.lane_weight_bits(output * p.lanes // outputs))
            for output in range(outputs)
        ]
        for level in range((p.max_activation_bits - 1).bit_length()):
            reach = 2 ** (level + 1)
            placed, reached = last << index % reach, np.array(widths) + reach - 1
            changed = self._changes(f"placed_{level}", placed, reached, p.lanes)
            self._add("placed_toggles", changed)


def _block_planes(job: "Job") -> list[int]:
    """Count the planes of each row block of a job; a vector of zeros has one."""
    words = np.bitwise_or.reduce(job.activations, axis=2).astype(np.int64)
    highest = np.frexp((words & (2**job.activation_bits - 1)).astype(float))[1]
    return [int(planes) for planes in np.maximum(1, highest).sum(axis=1)]


def _parts(counts: list[int]) -> Iterator[slice]:
    """Cut row blocks of so many planes into parts of at most ``PLANES``, or of one block."""
    first = total = 0
    for block, count in enumerate(counts):
        if block > first and total + count > PLANES:
            yield slice(first, block)
            first, total = block, 0
        total += count
    yield slice(first, len(counts))


def _products(
    bits: np.ndarray, matrices: np.ndarray, blocks: list[slice], width: int
) -> np.ndarray:
    """Multiply the planes (planes, R) of each block by its matrix of (blocks, R, n) integers.

    ``width`` are the bits of an integer. Exact: sums stay below 2**24 in float32, else far below
    2**53 in float64.
    """
    exact = np.float32 if bits.shape[1] << width < 2**24 else np.float64
    bits, matrices = bits.astype(exact), matrices.astype(exact)
    products = np.empty((len(bits), matrices.shape[2]), exact)
    for block, matrix in zip(blocks, matrices, strict=True):
        np.matmul(bits[block], matrix, out=products[block])
    return products.astype(np.int64)


def _weight_bits(weights: np.ndarray, weight_bits: int) -> np.ndarray:
    """Bits (blocks, R, C) of weights (blocks, R, outputs), least significant first."""
    bits = weights[..., None] >> np.arange(weight_bits) & 1
    return bits.reshape(*weights.shape[:2], -1).astype(np.uint8)


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()
