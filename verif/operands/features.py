"""Features of a list of jobs, computed from their operands, to which the energy model is fitted.

Nothing is simulated: the order in which planes reach the array is known, and with it what every
register and every adder of the array holds. Where a feature is a count of toggles it is exact,
`tests/switching/test_windows.py` and `adq activity` hold it against the tile's RTL.

The tile is taken as it is after reset: zeros in both banks, all registers at zero.
"""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

from adq.rtl.parameters import TileParameters
from adq.verif.operands.array_toggles import adder_words, array_toggles, toggles
from adq.verif.operands.bit_planes import BitPlanes

if TYPE_CHECKING:
    from adq.verif.operands.jobs import Job, Jobs

__all__ = ["CLASSES", "FEATURES", "features_of"]

PLANES = 2**14
"""Planes that are counted at a time; a single row block can have more."""

PLACES = 4
"""Places that the lowest bit of a total is offered to at a time, and how many times so many there
are; see :class:`adq.rtl.shift_add.result_register.ResultRegister`."""

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
    "count_toggles": "bits of the number of the plane offered that change",
    "line_toggles": "row lines that change",
    "product_toggles": "products of the array that change",
    "adder_toggles": "sums and carries of the column adders that change",
    "fused_bits": "register bits behind the fusing adders that are clocked",
    "fused_toggles": "those that change",
    "fuse_toggles": "sums and carries of the fusing adders that change",
    "term_toggles": "bits of what a plane adds to the accumulators that change",
    "addend_toggles": "bits of what the planes before add to them that change",
    "accumulate_toggles": "sums and carries of the accumulators' adders that change",
    "accumulator_bits": "accumulator bits that are clocked",
    "accumulator_toggles": "those that change",
    "result_bits": "bits of the result register that are clocked",
    "result_toggles": "those that change",
    "total_toggles": "bits of the totals that the collector is offered that change",
    "lowest_toggles": "their lowest bits, offered to four places at a time, that change",
    "extended_toggles": "bits of last totals above those of the narrowest weights that change",
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

CLASSES: dict[str, tuple[str, ...]] = {
    "vector_toggles": ("feeder/vector",),
    "plane_toggles": ("feeder/plane",),
    "count_toggles": ("feeder/index",),
    "line_toggles": ("row lines/row_lines",),
    "product_toggles": ("AND plane/products",),
    "adder_toggles": ("column adders/count_sum", "column adders/count_carry"),
    "fuse_toggles": ("fusing/fuse_sum", "fusing/fuse_carry"),
    "fused_toggles": ("fusing/fused",),
    "term_toggles": ("accumulators/term",),
    "addend_toggles": ("accumulators/kept",),
    "accumulate_toggles": (
        *("accumulators/add_sum", "accumulators/add_carry", "accumulators/add"),
    ),
    "accumulator_toggles": ("accumulators/acc",),
    "total_toggles": ("collector/totals",),
    "lowest_toggles": ("collector/lowest",),
    "extended_toggles": ("collector/extended",),
    "result_toggles": ("collector/low", "collector/total"),
    "index_toggles": ("collector/last_index",),
    "placed_toggles": ("collector/placed",),
    "output_toggles": ("collector/sums",),
    "beat_toggles": ("storage/beat",),
    "storage_toggles": ("storage/weights",),
}
"""Classes of the RTL's nets whose toggles a feature is; see
``verif/simulation/switching/net_classes.py``."""


def features_of(parameters: TileParameters, jobs: "Jobs") -> dict[str, float]:
    """Return the features of consecutive jobs after reset, none of whose beats waits to be offered;
    see ``FEATURES``.
    """
    # The products are small: threads would only wait for each other.
    with _libraries().limit(limits=1, user_api="blas"):
        return _Run(parameters, jobs).features


class _Run:
    """Processes jobs in the order of the tile, and tracks the contents of its registers."""

    def __init__(self, parameters: TileParameters, jobs: "Jobs"):
        self.parameters = parameters
        self.features = dict.fromkeys(FEATURES, 0.0)
        self.registers: dict[str, np.ndarray] = {}
        self.blocks = 0
        self.last_index = 0
        self.weight_bits = 0
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
        """Go through the row blocks of a job, as many at a time as have ``PLANES`` planes."""
        low = np.zeros((1, self.parameters.rows), bool)
        states, bits = [(0, low)], []
        # Behind a block whose next one does not follow at once, and behind a job, no plane comes.
        gaps = [not each for each in follows[1:]] + [True]
        for part in _parts(counts):
            of_part = _weight_bits(np.asarray(job.weights[part], np.int64), job.weight_bits)
            bits.append(of_part)
            states += self._part(job, part, of_part, follows[part], gaps[part])
        # Behind the last plane the lines fall.
        states.append((len(counts) - 1, low))
        which = np.repeat([block for block, _ in states], [len(lines) for _, lines in states])
        lines = np.concatenate([lines for _, lines in states])
        # The weights' precision is that of the job before until the first plane comes.
        weight_bits = np.full(len(lines), job.weight_bits)
        weight_bits[: 2 if (job.activations[0, 0] & 1).any() else 1] = self.weight_bits
        self.weight_bits = job.weight_bits
        p = self.parameters
        products, adders, fuser = array_toggles(p, lines, which, np.concatenate(bits), weight_bits)
        self._add("product_toggles", products)
        self._add("adder_toggles", adders)
        self._add("fuse_toggles", fuser)

    def _part(
        self, job: "Job", part: slice, bits: np.ndarray, follows: list[bool], gaps: list[bool]
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
        offered = planes.bits
        if part.stop == len(job.weights):
            # No vector comes behind a job's last one: it goes back to its lowest plane.
            offered = np.concatenate([offered, offered[planes.start[-1:]]])
        self._add("plane_toggles", self._changes("plane", offered, 1))
        # Behind a vector's last plane comes number 0.
        numbers = np.concatenate([[0], planes.index, [0]])
        self._add("count_toggles", toggles(numbers[1:] ^ numbers[:-1]))
        self._lines(planes, blocks)
        sums = _products(planes.bits, weights, blocks, job.weight_bits)  # (planes, outputs)
        if job.weight_bits not in p.direct_widths:
            self._fuse(planes, sums, weights, blocks, job.weight_bits)
        self._accumulate(planes, sums, job, ends[np.array(gaps)])

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
        self,
        planes: BitPlanes,
        sums: np.ndarray,
        weights: np.ndarray,
        blocks: list[slice],
        kw: int,
    ) -> None:
        """Compute the sums of octets, which are held, and the adders behind their register. Planes
        with no bit set do not get here.
        """
        p = self.parameters
        octets = sums
        if kw > 8:
            halves = np.stack([weights & 255, weights >> 8], axis=3).reshape(*weights.shape[:2], -1)
            octets = _products(planes.bits, halves, blocks, 8)
        octets = octets[planes.computed]
        held = p.plane_width(8)
        self._add("fused_bits", octets.size * held)
        self._add("fused_toggles", self._changes("fused", octets, held))
        above = p.fused_width(8) - 1  # bits of the lower octet, which has no sign
        if above > 8:
            width = p.fused_width(16) - 8
            low = (octets[:, ::2] & (1 << min(held, above)) - 1) >> 8
            high = octets[:, 1::2] & (1 << width) - 1
            carries = adder_words(low, high) >> 1
            self._add("fuse_toggles", self._changes("sixteen", low + high, width))
            self._add("fuse_toggles", self._changes("sixteen_carry", carries, width - 1))

    def _accumulate(
        self, planes: BitPlanes, sums: np.ndarray, job: "Job", gaps: np.ndarray
    ) -> None:
        """Accumulate the sums (planes, outputs) of planes; in front of those at ``gaps``, or behind
        the last one, some cycles have none.
        """
        p, kw = self.parameters, job.weight_bits
        width = p.total_width(kw)
        negative = np.zeros(len(sums), bool)
        if job.signed:
            negative = (planes.index == job.activation_bits - 1) & planes.computed
        signed = np.where(negative[:, None], -sums, sums)
        addends = np.zeros_like(sums)
        for step in range(1, int(planes.count.max())):
            at = planes.start[planes.count > step] + step
            addends[at] = (signed[at - 1] + addends[at - 1]) >> 1
        totals = signed + addends
        lanes = [output * p.lanes // sums.shape[1] for output in range(sums.shape[1])]
        natural = np.array([p.lane_weight_bits(lane) for lane in lanes])
        passed = np.zeros_like(sums)
        for widest in p.weight_widths:
            if kw in p.accumulator_weight_bits(widest):
                mine = slice(None) if kw in p.direct_widths else natural == widest
                mask = (1 << width) - 1
                terms, kept = sums[:, mine] & mask, addends[:, mine] & mask
                at = gaps if kw in p.direct_widths else gaps[:0]
                passed[:, mine] = self._adder(widest, terms, kept, negative, at)
            elif widest in p.direct_widths or kw not in p.direct_widths:
                self._idle_adder(widest, negative)
        held = totals[~planes.ends] >> 1
        name = kw if kw in p.direct_widths else "wide"
        self._add("accumulator_bits", held.size * (width - 1))
        changed = self._changes(f"accumulator_{name}", held, width - 1, p.lanes)
        self._add("accumulator_toggles", changed)

        # Behind the narrowest weights the collector is offered all bits of every total.
        shown = np.where(planes.ends[:, None] | (kw == p.weight_widths[0]), passed, passed & 1)
        shown = np.insert(shown, gaps, 0, axis=0)
        widest = p.total_width(p.group_columns)
        self._add("total_toggles", self._changes("shown", shown, widest, p.lanes))
        lowest = (passed & 1) << (planes.index // PLACES)[:, None]
        lowest = np.insert(lowest, gaps, 0, axis=0)
        self._add("lowest_toggles", self._changes("lowest", lowest, PLACES, p.lanes))
        self._collect(planes, totals, width)

    def _adder(
        self,
        widest: int,
        terms: np.ndarray,
        kept: np.ndarray,
        negative: np.ndarray,
        gaps: np.ndarray,
    ) -> np.ndarray:
        """Return an accumulator's adder; see :class:`adq.rtl.shift_add.accumulator.Accumulator`.

        A plane that counts negatively enters inverted, and with a carry. At a gap the sums are
        zero, and all else stays. Returns its sums (planes, outputs), without a sign.
        """
        p = self.parameters
        width = p.total_width(widest)
        mask = (1 << width) - 1
        carry = negative.astype(np.int64)[:, None]
        if gaps.size:
            terms = np.insert(terms, gaps, 0, axis=0)
            kept = np.insert(kept, gaps, kept[gaps - 1], axis=0)
            carry = np.insert(carry, gaps, carry[gaps - 1], axis=0)
        terms = terms ^ carry * mask
        split = 3 * (width - 1) // 4 if width - 1 > p.longest_ripple else width
        self._add("term_toggles", self._changes(f"term_{widest}", terms, width))
        self._add("addend_toggles", self._changes(f"kept_{widest}", kept, width))

        def add(name: str, first: int, last: int, carry: np.ndarray | int) -> np.ndarray:
            bits = last - first
            a, b = (words >> first & (1 << bits) - 1 for words in (terms, kept))
            carries = adder_words(a, b, carry) >> 1
            # Nothing reads the last carry of all.
            carry_bits = bits - (last == width)
            for net, words, size in (("sum", a + b + carry, bits), ("carry", carries, carry_bits)):
                changed = self._changes(f"{net}_{widest}{name}", words, size)
                self._add("accumulate_toggles", changed)
            return a + b + carry

        sums = add("", 0, split, carry)
        if split < width:
            # The upper words are added for both carries, one of which is selected.
            self.registers.setdefault(f"sum_{widest}b", np.ones(sums.shape[1], np.int64))
            choices = [add(each, split, width, carried) for each, carried in (("a", 0), ("b", 1))]
            upper = np.where(sums >> split, choices[1], choices[0])
            changed = self._changes(f"select_{widest}", upper, width - split)
            self._add("accumulate_toggles", changed)
            sums = sums & (1 << split) - 1 | upper << split
        sums &= mask
        return np.delete(sums, gaps + np.arange(gaps.size), axis=0) if gaps.size else sums

    def _idle_adder(self, widest: int, negative: np.ndarray) -> None:
        """An accumulator that is not selected: only the sign of planes comes to its adder."""
        held = (self.registers.get(f"{net}_{widest}") for net in ("term", "kept", "carry"))
        if not negative.any() and not any(net.any() for net in held if net is not None):
            return
        changes = np.flatnonzero(np.diff(negative, prepend=~negative[:1]))
        p = self.parameters
        lanes = p.outputs(widest)
        if widest not in p.direct_widths and widest < p.group_columns:
            lanes -= p.outputs(2 * widest)
        none = np.zeros((len(changes), lanes), np.int64)
        self._adder(widest, none, none, negative[changes], changes[:0])

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
        self._add("result_bits", last.size * width + np.count_nonzero(~planes.ends) * lanes)
        self._add("result_toggles", self._changes("result", last, width, p.lanes))
        widths = np.array(
            [
                p.total_width(p.lane_weight_bits(output * p.lanes // outputs))
                for output in range(outputs)
            ]
        )
        narrow = p.total_width(p.weight_widths[0])
        changed = self._changes("extended", last >> narrow, widths - narrow, p.lanes)
        self._add("extended_toggles", changed)

        # After each plane the result register holds the vector that ended last.
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
        placed_widths = widths + p.max_activation_bits - 1
        self._add("output_toggles", self._changes("output", sums, placed_widths, p.lanes))
        index = index[planes.ends]
        for level in range((p.max_activation_bits - 1).bit_length()):
            reach = 2 ** (level + 1)
            placed, reached = last << index % reach, widths + reach - 1
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
    """Return bits (blocks, R, C) of weights (blocks, R, outputs), least significant first."""
    bits = weights[..., None] >> np.arange(weight_bits) & 1
    return bits.reshape(*weights.shape[:2], -1).astype(np.uint8)


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()
