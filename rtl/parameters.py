"""Parameters of the tile: sizes chosen by the user, and every width and latency that follows."""

import collections
import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

__all__ = ["ParameterError", "TileParameters"]


class ParameterError(ValueError):
    """A tile that cannot be built, or a tile file that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class TileParameters:
    """Sizes of a processing-in-memory tile, and the widths, latencies and cycles they imply.

    A tile holds ``rows`` x ``columns`` weight bits in each of two banks. A weight of ``kw`` bits
    occupies ``kw`` neighbouring columns of its row, so that a job of ``kw``-bit weights has
    ``columns / kw`` outputs of ``rows`` inputs each. A job runs ``vectors`` activation vectors
    through each of ``row_blocks`` weight blocks and gives, per vector, the exact sums over all of
    them.

    Raises
    ------
    ParameterError
        If a size is out of range; the message names the parameter, its value and the range.

    """

    rows: int = 64
    """Inputs of one weight block; 1 to 1024."""

    columns: int = 64
    """Weight bits of a row; a multiple of 16, up to 1024."""

    row_blocks: int = 256
    """Most weight blocks over which a job accumulates."""

    partial_sums: int = 64
    """Most vectors of a job that has more than one row block: depth of the partial sum buffer.
    With 0 the tile has no buffer and every job has one row block."""

    vectors: int = 65535
    """Most vectors of a job."""

    counter_bits: int = 32
    """Bits of a performance counter, which wraps; 8 to 64."""

    weight_widths: ClassVar[tuple[int, ...]] = (2, 4, 8, 16)
    """Weight precisions in hardware, in bits."""

    direct_widths: ClassVar[tuple[int, ...]] = (2, 4)
    """Those of which sums accumulate in the cycle of their counts; sums of the others are held in
    between."""

    group_columns: ClassVar[int] = 16
    """Columns that can fuse into one weight."""

    max_activation_bits: ClassVar[int] = 16

    banks: ClassVar[int] = 2
    """Weight banks: one computes while the other loads."""

    load_beats: ClassVar[int] = 32
    """Beats in which the weight port aims to load a block, whatever the number of rows."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ParameterError(f"{field.name} must be an integer, not {value!r}")
        self._check_range("rows", 1, 1024)
        self._check_range("columns", self.group_columns, 1024)
        if self.columns % self.group_columns:
            raise ParameterError(
                f"columns must be a multiple of {self.group_columns}, not {self.columns}: "
                f"a 16-bit weight fuses {self.group_columns} neighbouring columns"
            )
        self._check_range("row_blocks", 1, 65536)
        self._check_range("partial_sums", 0, 65536)
        self._check_range("vectors", 1, 2**24)
        self._check_range("counter_bits", 8, 64)
        if self.row_blocks > 1 and not self.partial_sums:
            raise ParameterError(
                f"row_blocks must be 1, not {self.row_blocks}, where partial_sums is 0: "
                "sums over row blocks wait in the partial sum buffer"
            )

    def _check_range(self, name: str, least: int, most: int):
        value = getattr(self, name)
        if not least <= value <= most:
            raise ParameterError(f"{name} must be between {least} and {most}, not {value}")

    @classmethod
    def from_toml(cls, path: str | Path) -> "TileParameters":
        """Read the ``[tile]`` table of a TOML file; what it leaves out keeps its default.

        Raises
        ------
        ParameterError
            If the file cannot be read, has an unknown key, or describes a tile that makes no
            sense. The message starts with the path.

        """
        try:
            if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
                raise ParameterError(f"{path}: is no plain file: give another with --tile")
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ParameterError(
                f"{path}: cannot read the tile file: {error.strerror}; give another with --tile"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ParameterError(f"{path}: not valid TOML: {error}") from None
        table = document.pop("tile", None)
        if not isinstance(table, dict):
            raise ParameterError(f"{path}: has no [tile] table: put rows and columns into one")
        known = [field.name for field in dataclasses.fields(cls)]
        for where, keys, choices in (("", document, ["tile"]), ("tile.", table, known)):
            for key in keys:
                if key not in choices:
                    near = difflib.get_close_matches(key, choices, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices)}"
                    raise ParameterError(f"{path}: unknown key {where + key!r}; {hint}")
        try:
            return cls(**table)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None

    # Shapes

    def outputs(self, weight_bits: int) -> int:
        """Outputs of a job with weights of ``weight_bits``."""
        if weight_bits not in self.weight_widths:
            widths = ", ".join(map(str, self.weight_widths))
            raise ParameterError(f"weight bits must be one of {widths}, not {weight_bits}")
        return self.columns // weight_bits

    @property
    def lanes(self) -> int:
        """Results a beat holds: one for every pair of columns, the most outputs of a job."""
        return self.columns // self.weight_widths[0]

    @property
    def rows_per_beat(self) -> int:
        """Rows of a beat of the weight port."""
        return -(-self.rows // self.load_beats)

    @property
    def weight_beats(self) -> int:
        """Beats of a weight block."""
        return -(-self.rows // self.rows_per_beat)

    # Order of columns inside the array

    @property
    def sliced_columns(self) -> list[int]:
        """Column in each bit of the array's words.

        Columns stand in bit-reversed order of their place in a group of 16, groups side by side.
        Then the lower half of a word holds the low column of every pair and the upper half the
        high one, again within each half for pairs of pairs, and so on: each level of fusing adds
        the upper half of its words to the lower half.
        """
        groups = self.columns // self.group_columns
        bits = (self.group_columns - 1).bit_length()
        return [
            group * self.group_columns + int(f"{place:0{bits}b}"[::-1], 2)
            for place in range(self.group_columns)
            for group in range(groups)
        ]

    @property
    def sliced_lanes(self) -> list[int]:
        """Result lane, a pair of columns, in each bit of the array's words of pair sums."""
        return [column // 2 for column in self.sliced_columns[: self.lanes]]

    def lane_weight_bits(self, lane: int) -> int:
        """Widest weights whose results use a lane: every lane serves 2 bits, every eighth 16."""
        return max(n for n in self.weight_widths if lane % (n // 2) == 0)

    def accumulator_weight_bits(self, widest: int) -> list[int]:
        """Weights whose sums the accumulator of those of ``widest`` bits takes: ``direct_widths``
        have one each, on the lanes of the others the widest serve all that are narrower.
        """
        if widest in self.direct_widths:
            return [widest]
        return [n for n in self.weight_widths if n <= widest and n not in self.direct_widths]

    # Widths. Each is the least that holds its extreme values.

    @property
    def count_width(self) -> int:
        """Bits of the unsigned count of a column: 0 to ``rows``."""
        return self.rows.bit_length()

    def fused_width(self, columns: int) -> int:
        """Bits of the signed sum of ``columns`` fused columns for one activation plane.

        Up to 8 columns can be the lower half of a wider weight, and reach
        ``(2**columns - 1) * rows``; 16 columns always hold a sign.
        """
        most = (2**columns - 1) * self.rows
        if columns == self.group_columns:
            most = 2 ** (columns - 1) * self.rows - 1
        return most.bit_length() + 1

    def plane_width(self, weight_bits: int) -> int:
        """Bits of the signed sum of ``rows`` weights, at least ``-2**(weight_bits - 1) * rows``.

        A plane gives such a sum, and half of two together, which an accumulator holds between two
        planes, is one again.
        """
        return (2 ** (weight_bits - 1) * self.rows - 1).bit_length() + 1

    def total_width(self, weight_bits: int) -> int:
        """Bits of what an accumulator holds and the sum of a plane, of either sign, together."""
        return self.plane_width(weight_bits) + 1

    def result_width(self, weight_bits: int) -> int:
        """Bits of a result: the sum of up to ``row_blocks`` vector sums."""
        most = 2 ** (weight_bits - 1) * (2**self.max_activation_bits - 1) * self.rows
        return (most * self.row_blocks - 1).bit_length() + 1

    @property
    def accumulator_width(self) -> int:
        """Bits of a result at the widest weights: the width of each lane of the result port."""
        return self.result_width(self.group_columns)

    # Cycles

    def latency(self, weight_bits: int) -> int:
        """Cycles from that in which a vector's last plane is taken to that of its result.

        Row lines and results are registers; so are the sums of weights that are not of
        ``direct_widths``, before they accumulate.
        """
        return 2 + (weight_bits not in self.direct_widths)

    store_latency: ClassVar[int] = 2
    """Cycles from that in which a weight block's last beat is taken to the first in which the
    block can be used: a beat waits in a register before it is written."""

    release_latency: ClassVar[int] = 2
    """Cycles from that in which a weight block's last plane is taken to the first in which the
    port takes a beat into its bank: the plane is counted first."""

    start_latency: ClassVar[int] = 2
    """Cycles from that in which a job is taken to that of its first plane: one to know the job,
    one to fetch its first activation vector."""

    def block_cycles(self, planes: Iterable[int]) -> int:
        """Cycles for which a row block occupies the array.

        Parameters
        ----------
        planes
            Of each vector of the block, the planes left without the leading ones that have no bit
            set. A vector of zeros has none, and takes a cycle all the same.
        """
        return sum(max(1, count) for count in planes)

    def job_cycles(self, planes: Iterable[int]) -> int:
        """Cycles from a job's first to the next one's, where weights and activations are there.

        Parameters
        ----------
        planes
            Of each vector of each row block; see ``block_cycles``.
        """
        return self.start_latency - 1 + self.block_cycles(planes)

    def sequence_cycles(self, jobs: Sequence[tuple[int, Sequence[int]]]) -> int:
        """Cycles of jobs that follow each other on an idle tile, waits for weights included.

        They count from the cycle in which jobs, weights and activations are first offered to that
        in which the last result is taken, where no port ever keeps the tile waiting. With
        ``last(n)`` the cycle of block ``n``'s last plane, its weights load in ``weight_beats``
        cycles from ::

            max(end of loading n - 1, last(n - 2) + release_latency)

        and its planes begin at the later of: its weights there; ``last(n - 1) + 1``, or
        ``last(n - 1) + start_latency`` where it is the first block of a job.

        Parameters
        ----------
        jobs
            Of each, at least one, its weight bits and the ``block_cycles`` of its row blocks.
        """
        ((_, last),) = collections.deque(self.block_spans(jobs), maxlen=1)
        return last + self.latency(jobs[-1][0]) + 1

    def block_spans(self, jobs: Iterable[tuple[int, Sequence[int]]]) -> Iterator[tuple[int, int]]:
        """Yield the cycles of the first and the last plane of each row block; see
        ``sequence_cycles``.
        """
        port_free = 0
        bank_free, other_bank_free = 0, 0
        last = 0
        for _, blocks in jobs:
            start = last + self.start_latency
            for cycles in blocks:
                port_free = max(port_free, bank_free) + self.weight_beats
                first = max(start, port_free - 1 + self.store_latency)
                last = first + cycles - 1
                yield first, last
                bank_free, other_bank_free = other_bank_free, last + self.release_latency
                start = last + 1

    def least_vectors(self, activation_bits: int, *, row_blocks: int = 1) -> int:
        """Vectors of a weight block from which on loading the next one hides behind it.

        A load waits ``release_latency`` for its bank, takes ``weight_beats``, and can be used
        ``store_latency`` after its last beat, all while the other bank computes and, where every
        block is a job of its own, while jobs change. Leading planes that are skipped count as
        fewer bits.
        """
        hidden = self.release_latency + self.weight_beats + self.store_latency - 2
        if row_blocks == 1:
            hidden -= 2 * (self.start_latency - 1)
        return max(1, -(-hidden // activation_bits))
