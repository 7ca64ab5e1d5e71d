"""Parameters of the tile: sizes set by the user, and the widths and latencies derived from them."""

import collections
import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from adq.rtl.adder_trees import ARITHMETICS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["ParameterError", "TileParameters", "TomlError", "parse_toml", "read_parameters"]

Parameters = TypeVar("Parameters", bound="DataclassInstance")


LARGEST_FILE = 2**20
"""Bytes of a tile file at most."""


class TomlError(ValueError):
    """Text that is no TOML. The message says why, in one line."""


class ParameterError(ValueError):
    """The tile parameters are invalid, or a tile file cannot be read."""


@dataclass(frozen=True, kw_only=True)
class TileParameters:
    """Sizes of a processing-in-memory tile, and the widths, latencies and cycles derived from them.

    A tile stores ``rows`` x ``columns`` weight bits in each of two banks. A weight of ``kw`` bits
    occupies ``kw`` adjacent columns of its row, so a job with ``kw``-bit weights has
    ``columns / kw`` outputs, each a sum over ``rows`` inputs. A job runs ``vectors`` activation
    vectors through each of ``row_blocks`` weight blocks. It returns one result per vector: the
    exact sums over all row blocks.

    Raises
    ------
    ParameterError
        If a size is out of range. The message names the parameter, its value and the range.

    """

    rows: int = 64
    """Rows of the array, the inputs of one weight block; 1 to 1024."""

    columns: int = 64
    """Weight bits per row; a multiple of 16, up to 1024."""

    row_blocks: int = 256
    """Maximum number of weight blocks over which a job accumulates; 1 to 65536."""

    partial_sums: int = 64
    """Depth of the partial sum buffer: the maximum number of vectors of a job with several row
    blocks; 0 to 65536. With 0 the tile has no buffer, and every job has one row block."""

    vectors: int = 65535
    """Maximum number of vectors of a job; 1 to 2**24."""

    counter_bits: int = 32
    """Bits of a performance counter; 8 to 64. Counters wrap."""

    arithmetic: str = "three_greedy"
    """Adder tree that counts the products of a column: ``three_greedy`` or ``ripple_carry``; see
    :mod:`adq.rtl.adder_trees`."""

    weight_widths: ClassVar[tuple[int, ...]] = (2, 4, 8, 16)
    """Supported weight widths, in bits."""

    direct_widths: ClassVar[tuple[int, ...]] = (2, 4)
    """Weight widths without a pipeline register between fuser and accumulator."""

    group_columns: ClassVar[int] = 16
    """Maximum number of columns that fuse into one weight."""

    longest_ripple: ClassVar[int] = 16
    """Maximum length of an accumulator's ripple-carry chain, in bits. Longer adders use carry
    select."""

    max_activation_bits: ClassVar[int] = 16
    """Maximum activation width, in bits."""

    banks: ClassVar[int] = 2
    """Number of weight banks: one bank computes while the other loads."""

    load_beats: ClassVar[int] = 32
    """Maximum number of beats in which the weight port loads a block."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "arithmetic" and (
                isinstance(value, bool) or not isinstance(value, int)
            ):
                raise ParameterError(f"{field.name} must be an integer, not {value!r}")
        if self.arithmetic not in ARITHMETICS:
            names = ", ".join(ARITHMETICS)
            raise ParameterError(f"arithmetic must be one of {names}, not {self.arithmetic!r:.80}")
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

    def _check_range(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            raise ParameterError(f"{name} must be between {least} and {most}, not {value}")

    @classmethod
    def from_toml(cls, path: str | Path) -> "TileParameters":
        """Read the ``[tile]`` table of a TOML file. Missing keys keep their defaults.

        Raises
        ------
        ParameterError
            If the file cannot be read, has an unknown key, or holds invalid parameters. The
            message starts with the path.

        """
        return read_parameters(cls, path, "tile")

    @property
    def name(self) -> str:
        """Rows and columns, and the arithmetic where it is not the default: ``64x64``,
        ``64x64-ripple_carry``.
        """
        variant = "" if self.arithmetic == type(self).arithmetic else f"-{self.arithmetic}"
        return f"{self.rows}x{self.columns}{variant}"

    # Shapes

    def outputs(self, weight_bits: int) -> int:
        """Return the number of outputs of a job with ``weight_bits``-bit weights."""
        if weight_bits not in self.weight_widths:
            widths = ", ".join(map(str, self.weight_widths))
            raise ParameterError(f"weight bits must be one of {widths}, not {weight_bits}")
        return self.columns // weight_bits

    @property
    def lanes(self) -> int:
        """Lanes of a result beat: one per pair of columns, the maximum number of outputs."""
        return self.columns // self.weight_widths[0]

    @property
    def rows_per_beat(self) -> int:
        """Rows per beat of the weight port."""
        return -(-self.rows // self.load_beats)

    @property
    def weight_beats(self) -> int:
        """Beats per weight block."""
        return -(-self.rows // self.rows_per_beat)

    # Column order inside the array

    @property
    def sliced_columns(self) -> list[int]:
        """Column number of each bit of the array's words.

        Columns are ordered by the bit-reversed value of their position in a group of 16, with the
        groups interleaved. The lower half of a word then holds the low column of every pair and
        the upper half the high column. The same holds within each half for pairs of pairs, and so
        on. Each fusing level therefore adds the upper half of its words to the lower half.
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
        """Result lane (pair of columns) of each bit of the words that hold pair sums."""
        return [column // 2 for column in self.sliced_columns[: self.lanes]]

    def lane_weight_bits(self, lane: int) -> int:
        """Return the largest weight width whose results use a lane.

        Every lane serves 2-bit weights; every eighth lane serves 16-bit weights.
        """
        return max(n for n in self.weight_widths if lane % (n // 2) == 0)

    def accumulator_weight_bits(self, widest: int) -> list[int]:
        """Return the weight widths that share the accumulator for ``widest``-bit weights.

        Each of the ``direct_widths`` has an accumulator of its own. An accumulator for any other
        width also serves the narrower widths that are not direct.
        """
        if widest in self.direct_widths:
            return [widest]
        return [n for n in self.weight_widths if n <= widest and n not in self.direct_widths]

    # Widths. Each is the smallest that represents the extreme values.

    @property
    def count_width(self) -> int:
        """Bits of the unsigned column count, 0 to ``rows``."""
        return self.rows.bit_length()

    def fused_width(self, columns: int) -> int:
        """Return the bits of the signed sum of ``columns`` fused columns for one bit plane.

        Up to 8 columns may be the lower half of a wider weight, whose sum reaches
        ``(2**columns - 1) * rows``. A group of 16 columns always includes the sign column.
        """
        most: int = (2**columns - 1) * self.rows
        if columns == self.group_columns:
            most = 2 ** (columns - 1) * self.rows - 1
        return most.bit_length() + 1

    def plane_width(self, weight_bits: int) -> int:
        """Return the bits of the signed sum of ``rows`` weights for one bit plane.

        The minimum is ``-2**(weight_bits - 1) * rows``. The accumulator needs the same width,
        because it holds half of the sum of two such numbers between planes.
        """
        most: int = 2 ** (weight_bits - 1) * self.rows
        return (most - 1).bit_length() + 1

    def total_width(self, weight_bits: int) -> int:
        """Return the bits of an accumulator's contents plus or minus the sum of a plane."""
        return self.plane_width(weight_bits) + 1

    def result_width(self, weight_bits: int) -> int:
        """Return the bits of a result: the sum of up to ``row_blocks`` vector sums."""
        most: int = 2 ** (weight_bits - 1) * (2**self.max_activation_bits - 1) * self.rows
        return (most * self.row_blocks - 1).bit_length() + 1

    @property
    def accumulator_width(self) -> int:
        """Bits per lane of the result port: the result width of the widest weights."""
        return self.result_width(self.group_columns)

    # Cycles

    def latency(self, weight_bits: int) -> int:
        """Return the cycles from the cycle that takes a vector's last plane to its result.

        Word lines and results are registered. Fused sums are also registered unless
        ``weight_bits`` is one of the ``direct_widths``.
        """
        return 2 + (weight_bits not in self.direct_widths)

    store_latency: ClassVar[int] = 2
    """Cycles from the cycle that takes the last beat of a weight block to the first cycle that can
    use the block. A beat passes through a register before it is written."""

    release_latency: ClassVar[int] = 2
    """Cycles from the cycle that takes the last plane of a weight block to the first cycle in which
    the weight port accepts a beat for the same bank. The bank is held until the plane is
    counted."""

    start_latency: ClassVar[int] = 2
    """Cycles from the cycle that takes a job to its first plane: one to register the job, one to
    fetch its first activation vector."""

    def block_cycles(self, planes: Iterable[int]) -> int:
        """Return the cycles for which a row block occupies the array.

        Parameters
        ----------
        planes
            Number of planes of each vector of the block, without the leading all-zero planes. A
            vector of zeros has 0 planes and takes one cycle.
        """
        return sum(max(1, count) for count in planes)

    def job_cycles(self, planes: Iterable[int]) -> int:
        """Return the cycles from a job's start to the next job's start.

        Weights and activations are assumed to be available without waiting.

        Parameters
        ----------
        planes
            Number of planes of each vector of each row block; see ``block_cycles``.
        """
        return self.start_latency - 1 + self.block_cycles(planes)

    def sequence_cycles(self, jobs: Sequence[tuple[int, Sequence[int]]]) -> int:
        """Return the cycles of consecutive jobs on an idle tile, including waits for weights.

        The count starts in the cycle in which jobs, weights and activations are first offered, and
        ends in the cycle that takes the last result. No port stalls the tile. Let ``last(n)`` be
        the cycle of the last plane of block ``n``. The weights of block ``n`` load in
        ``weight_beats`` cycles, starting at ::

            max(end of loading n - 1, last(n - 2) + release_latency)

        Its planes start when its weights are loaded, but not before ``last(n - 1) + 1``, or
        ``last(n - 1) + start_latency`` if it is the first block of a job.

        Parameters
        ----------
        jobs
            Weight bits of each job, and the ``block_cycles`` of its row blocks. At least one job.
        """
        ((_, last),) = collections.deque(self.block_spans(jobs), maxlen=1)
        return last + self.latency(jobs[-1][0]) + 1

    def block_spans(self, jobs: Iterable[tuple[int, Sequence[int]]]) -> Iterator[tuple[int, int]]:
        """Yield the cycles of the first and the last plane of each row block.

        See ``sequence_cycles``.
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
        """Return the minimum vectors per weight block that hide the load of the next block.

        A load waits ``release_latency`` cycles for its bank, takes ``weight_beats`` cycles, and
        can be used ``store_latency`` cycles after its last beat. Meanwhile the other bank computes.
        If each block is a job of its own, the cycles between jobs also hide part of the load.
        Skipped leading planes reduce the effective ``activation_bits``.
        """
        hidden = self.release_latency + self.weight_beats + self.store_latency - 2
        if row_blocks == 1:
            hidden -= 2 * (self.start_latency - 1)
        return max(1, -(-hidden // activation_bits))


def parse_toml(text: bytes) -> dict[str, Any]:
    """Parse a TOML file.

    Raises
    ------
    TomlError
        Not TOML in UTF-8, or an integer has more than 64 bits, as TOML's own range has.

    """
    try:
        document = tomllib.loads(text.decode())
        _check_integers(document)
    except RecursionError:
        raise TomlError("nested too deep") from None
    except ValueError as error:
        raise TomlError(" ".join(str(error).split())) from None
    return document


def _check_integers(value: object) -> None:
    """Refuse integers that TOML does not have: longer ones cannot even be printed."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _check_integers(each)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TomlError("an integer has more than 64 bits")


def read_parameters(cls: "type[Parameters]", path: str | Path, kind: str) -> "Parameters":
    """Read a dataclass of parameters from the table ``kind`` of a TOML file.

    Missing keys keep their defaults.

    Raises
    ------
    ParameterError
        If the file cannot be read, has an unknown key, or holds invalid parameters. The message
        starts with the path.

    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # reading a pipe would block
            raise ParameterError(f"{path}: is no plain file: give another with --{kind}")
        if Path(path).stat().st_size > LARGEST_FILE:
            raise ParameterError(
                f"{path}: has more than {LARGEST_FILE} bytes: give another with --{kind}"
            )
        document = parse_toml(Path(path).read_bytes())
    except OSError as error:
        raise ParameterError(
            f"{path}: cannot read the {kind} file: {error.strerror}; give another with --{kind}"
        ) from None
    except TomlError as error:
        raise ParameterError(f"{path}: not valid TOML: {error}") from None
    table = document.pop(kind, None)
    if not isinstance(table, dict):
        raise ParameterError(f"{path}: has no [{kind}] table: put rows and columns into one")
    known = [field.name for field in dataclasses.fields(cls)]
    for where, keys, choices in (("", document, [kind]), (f"{kind}.", table, known)):
        for key in keys:
            if key not in choices:
                near = difflib.get_close_matches(key, choices, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices)}"
                raise ParameterError(f"{path}: unknown key {where + key!r}; {hint}")
    try:
        return cls(**table)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None
