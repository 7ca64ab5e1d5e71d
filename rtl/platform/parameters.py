"""Parameters of the platform: tiles, memories, requantizers and the bus around them."""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adq.rtl.parameters import ParameterError, TileParameters, read_parameters

__all__ = ["PlatformParameters"]


@dataclass(frozen=True, kw_only=True)
class PlatformParameters:
    """Sizes of a platform.

    A cluster has ``stack`` x ``tile_columns`` tiles. Tiles side by side take the same activation
    planes. Tiles on top of each other take different row blocks, whose sums meet before they are
    stored; where a layer has one row block, each row of tiles works alone. Clusters split the
    pixels or the outputs of a layer.

    Raises
    ------
    ParameterError
        If a size is out of range. The message names the parameter, its value and the range.

    """

    rows: int = 64
    """Rows of a tile; a power of two from 16 to 1024. Also the bits of a plane memory word."""

    columns: int = 64
    """Weight bits per row of a tile; a multiple of 16, up to 1024."""

    stack: int = 1
    """Tiles of a cluster on top of each other; 1 to 8."""

    tile_columns: int = 1
    """Tiles of a cluster side by side; 1 to 16."""

    clusters: int = 1
    """Clusters; 1 to 64."""

    plane_memory_kib: int = 256
    """Plane memory of the whole platform, in KiB; 1 to 65536."""

    plane_banks: int = 4
    """Banks of the plane memory, each of which reads a word and writes one in a cycle; a power of
    two from 2 to 256."""

    weight_buffer_kib: int = 16
    """Half of a column's weight buffer, in KiB: weights that fit are fetched once a layer; 1 to
    1024."""

    accumulator_vectors: int = 256
    """Vectors that half of the accumulator memory of a column holds; 1 to 4096."""

    accumulator_bits: int = 48
    """Widest accumulator lane; 16 to 64."""

    requantizers: int = 8
    """Requantizer lanes of a column of tiles, each a result a cycle; 1 to 512."""

    bus_bits: int = 128
    """Bits of the memory bus; 32, 64, 128, 256 or 512."""

    largest_descriptors: ClassVar[int] = 4096
    """Largest number of descriptors of a program."""

    table_planes: ClassVar[int] = 8
    """Most bits of the integers that a table takes."""

    threshold_bits: ClassVar[int] = 31
    """Bits of a threshold, and of the sums that are compared with it."""

    accumulator_cuts: ClassVar[tuple[int, ...]] = (14, 16, 24, 32)
    """Bits of a sum at which another memory begins. Layers of narrow sums do not access the upper
    ones."""

    accumulator_banks: ClassVar[int] = 2
    """Memories of a half of an accumulator memory: even vectors lie in one, odd ones in the
    other."""

    threshold_planes: ClassVar[int] = 2
    """Most bits of the activations that thresholds give."""

    loop_levels: ClassVar[int] = 4
    """Largest number of loops of a program, one inside of the other."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ParameterError(f"{field.name} must be an integer, not {value!r}")
        if not 16 <= self.rows <= 1024 or self.rows & (self.rows - 1):
            raise ParameterError(
                f"rows must be a power of two from 16 to 1024, not {self.rows}: pixels share words "
                "of the plane memory"
            )
        assert self.tile  # its sizes are checked there
        for name, least, most in (
            ("stack", 1, 8),
            ("tile_columns", 1, 16),
            ("clusters", 1, 64),
            ("plane_memory_kib", 1, 65536),
            ("weight_buffer_kib", 1, 1024),
            ("accumulator_vectors", 1, 4096),
            ("accumulator_bits", 16, 64),
            ("requantizers", 1, 512),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ParameterError(f"{name} must be between {least} and {most}, not {value}")
        if not 2 <= self.plane_banks <= 256 or self.plane_banks & (self.plane_banks - 1):
            raise ParameterError(
                f"plane_banks must be a power of two from 2 to 256, not {self.plane_banks}"
            )
        if self.bus_bits not in (32, 64, 128, 256, 512):
            raise ParameterError(
                f"bus_bits must be one of 32, 64, 128, 256, 512, not {self.bus_bits}"
            )

    @classmethod
    def from_toml(cls, path: str | Path) -> "PlatformParameters":
        """Read the ``[platform]`` table of a TOML file. Missing keys keep their defaults.

        Raises
        ------
        ParameterError
            As :func:`adq.rtl.parameters.read_parameters`.

        """
        return read_parameters(cls, path, "platform")

    @property
    def tile(self) -> TileParameters:
        """One tile of the platform."""
        return TileParameters(rows=self.rows, columns=self.columns)

    @property
    def tiles(self) -> int:
        """Tiles of the platform."""
        return self.stack * self.tile_columns * self.clusters

    @property
    def units(self) -> int:
        """Rows of tiles of all clusters: each can work alone."""
        return self.stack * self.clusters

    @property
    def plane_memory_words(self) -> int:
        """Words of the plane memory, of ``rows`` bits each."""
        return self.plane_memory_kib * 8192 // self.rows

    @property
    def address_bits(self) -> int:
        """Bits of the address of a word of the plane memory."""
        return (self.plane_memory_words - 1).bit_length()

    @property
    def block_bytes(self) -> int:
        """Bytes of the weights of one tile."""
        return self.rows * self.columns // 8

    @property
    def capacity(self) -> int:
        """Bit products that all tiles can do in a cycle."""
        return self.tiles * self.rows * self.columns

    def lane_bits(self, weight_bits: int) -> int:
        """Return the bits of a stored sum, in a lane that weights of up to ``weight_bits`` use.

        They hold 65,536 products with activations of 16 bits.
        """
        return min(self.accumulator_bits, weight_bits + 32)

    def sum_pieces(self, bits: int) -> list[tuple[int, int]]:
        """Return the pieces of a sum of ``bits``, cut at ``accumulator_cuts``: first and last bit.

        The last bit is exclusive.
        """
        ends = [0, *(cut for cut in self.accumulator_cuts if cut < bits), bits]
        return list(itertools.pairwise(ends))

    @property
    def accumulator_words(self) -> int:
        """Words of a memory of an accumulator memory's half, a vector each."""
        return -(-self.accumulator_vectors // self.accumulator_banks)

    def slices(self, weight_bits: int) -> int:
        """Return the cycles in which the requantizers take the sums of a vector."""
        return -(-self.tile.outputs(weight_bits) // self.requantizers)

    # Cycles

    @property
    def start_latency(self) -> int:
        """Cycles from taking a layer's descriptor to its start, in which its settings are computed.

        Where tiles share a layer, their parts of it are computed, too.
        """
        if self.units > 1:
            return 58
        return 37 if self.tile_columns > 1 else 36

    walk_latency: ClassVar[int] = 2
    """Cycles from a layer's start to the fetch of its first plane."""

    fetch_latency: ClassVar[int] = 2
    """Cycles from a plane's fetch to the cycle in which the tile takes it."""

    store_latency: ClassVar[int] = 2
    """Cycles from the sums of a job's last vector to the cycle in which they can be read."""

    adder_latency: ClassVar[int] = 1
    """Cycles that sums of tiles on top of each other take more, where they are added."""

    free_latency: ClassVar[int] = 1
    """Cycles from when the last sums of a job leave the accumulator memory to when the walker hears
    that their half is free."""

    result_stages: ClassVar[int] = 6
    """Registers that results pass from their read to the plane writer: sums, operands, three of the
    requantizer, and the pool."""

    write_latency: ClassVar[int] = 3
    """Cycles from the last word that a layer hands to the plane memory to the next descriptor."""

    @property
    def block_latency(self) -> int:
        """Cycles that a weight block takes beyond its beats, until the next one may compute with
        the same bank: a bank is held until its last plane is counted.
        """
        return self.fetch_latency + self.tile.release_latency

    def block_cycles(self, vectors: int, planes: int) -> int:
        """Return the cycles of a row block in the mean of many: its planes, or the load of weights.

        Two banks take turns. A load waits for its bank and for the weight port.
        """
        planes *= vectors
        beats = self.tile.weight_beats
        return max(planes, beats, -(-(planes + beats + self.block_latency) // 2))

    def job_cycles(self, rounds: int, vectors: int, planes: int, drain: int) -> int:
        """Return the cycles of a job: its row blocks, or the drain of the job before."""
        return max(rounds * self.block_cycles(vectors, planes), drain)

    def fill_cycles(self, weight_bits: int) -> int:
        """Return the cycles of a layer beyond its jobs and the drain of the last one."""
        pipeline = self.tile.latency(weight_bits) + self.result_stages
        before = self.start_latency + self.walk_latency + self.fetch_latency
        return before + pipeline + self.store_latency + self.write_latency - 2

    def bus_cycles(self, size: int) -> int:
        """Return the cycles in which the bus carries ``size`` bytes."""
        return -(-8 * size // self.bus_bits)
