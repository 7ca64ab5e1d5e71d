"""The partial sum buffer: its energy and area as built, and as an SRAM."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adq.cost.work import LayerWork
from adq.energy.coefficients import reading
from adq.energy.memory.memories import Sram, nearest_sram
from adq.golden.mapping.mapper import plan_matrix
from adq.rtl.parameters import TileParameters

__all__ = [
    "FlipFlopBuffer",
    "accesses",
    "entry_bits",
    "flip_flop_buffer",
    "layer_pj",
    "measure_partial_sums",
    "sram_pj",
]

FILE = Path(__file__).with_name("partial_sums_nangate45.json")
"""File of what `adq dev partial-sums --liberty` measured."""

FORMAT = 1

BLOCK = "partial sum buffer"


def entry_bits(tile: TileParameters) -> int:
    """Return the bits of an entry: those of a result of each lane, at the widest weights that use
    the lane.
    """
    return sum(tile.result_width(tile.lane_weight_bits(lane)) for lane in range(tile.lanes))


def accesses(layer: LayerWork, tile: TileParameters) -> int:
    """Return the entries that an image's jobs of a layer read, each of which was written before:
    all vectors of all row blocks but one.
    """
    vectors = layer.macs // layer.weights
    plan = plan_matrix(
        layer.name,
        rows=layer.weights // layer.channels,
        shape=(layer.channels,),
        weight_bits=min(n for n in tile.weight_widths if n >= layer.weight_bits),
        activation_bits=layer.activation_bits,
        signed=False,
        vectors=vectors,
        tile=tile,
    )
    return sum((job.row_blocks - 1) * job.vector_count for job in plan.jobs)


@dataclass(frozen=True)
class FlipFlopBuffer:
    """The buffer in flip-flops behind clock gates, at gate level.

    Attributes
    ----------
    entries, bits : of the buffer that was measured
    area_um2 : of it
    zero_delay_fj, delayed_fj : energy of reading and writing an entry, by weight bits: without
        glitches, and with those of the adders in front of it and of its own multiplexers
    """

    library: str
    library_sha256: str
    voltage: float
    temperature: float
    rows: int
    columns: int
    entries: int
    bits: int
    area_um2: float
    zero_delay_fj: Mapping[int, float]
    delayed_fj: Mapping[int, float]

    @property
    def um2_per_bit(self) -> float:
        """Area over capacity."""
        return self.area_um2 / (self.entries * self.bits)

    def pj(self, bits: int, weight_bits: int, *, delayed: bool = True) -> float:
        """Return the energy of reading and writing an entry of ``bits``, in proportion to them."""
        energies = self.delayed_fj if delayed else self.zero_delay_fj
        return energies[weight_bits] / self.bits * bits / 1000

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> "FlipFlopBuffer":
        """Read what :meth:`to_json` gave.

        Raises
        ------
        EnergyError
            If the file is damaged, or of another format.
        """
        with reading(
            path,
            "a partial sum buffer",
            form=FORMAT,
            remedy="write it with `adq dev partial-sums --liberty`",
        ) as content:
            for name in ("zero_delay_fj", "delayed_fj"):
                content[name] = {int(bits): fj for bits, fj in content[name].items()}
            return cls(**content)


def flip_flop_buffer() -> FlipFlopBuffer:
    """Return the buffer that comes with the package: 64 entries, NanGate 45 nm."""
    return FlipFlopBuffer.read(FILE)


def sram_pj(tile: TileParameters) -> tuple[Sram, float]:
    """Return the nearest memory that reads and writes in one cycle, and what an entry takes in
    it.
    """
    memory = nearest_sram(tile.partial_sums, ports="1R1W")
    return memory, memory.pj_per_bit * entry_bits(tile)


def layer_pj(
    layers: Sequence[LayerWork], tile: TileParameters, buffer: FlipFlopBuffer | None
) -> list[float]:
    """Return the energy of partial sums of each layer, an image, in pJ: in flip-flops, or, with no
    ``buffer``, in SRAM, whose entries are accessed whole at every precision.
    """
    bits = entry_bits(tile)
    found = []
    for layer in layers:
        width = min(n for n in tile.weight_widths if n >= layer.weight_bits)
        each = sram_pj(tile)[1] if buffer is None else buffer.pj(bits, width)
        found.append(accesses(layer, tile) * each)
    return found


def measure_partial_sums(
    liberty: Path, *, name: str, size: int, row_blocks: int, directory: Path, cache: Path
) -> FlipFlopBuffer:
    """Measure the buffer in a small tile: random jobs of several row blocks, half of the words
    zero, with delays and without.

    Parameters
    ----------
    name
        Of the library.
    size
        Rows and columns of the tile; its entries are as many as by default.
    row_blocks
        Of the jobs.

    Raises
    ------
    LibertyError, SynthesisError, TimingError, SwitchingError, SimulationError
        As of :class:`adq.verif.gate_level.tile.GateLevelTile`.
    """
    import numpy as np

    from adq.energy.gate_level.random_cases import RandomCase
    from adq.verif.gate_level.delays.event_simulation import EventSimulation
    from adq.verif.gate_level.delays.glitches import glitch_energy
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.operands.jobs import Job

    parameters = TileParameters(rows=size, columns=size, row_blocks=64)
    tile = GateLevelTile(parameters, Library.read(liberty), cache=cache)
    simulation = EventSimulation(tile.power, period=tile.period, cache=cache / "models")
    zero, delayed = {}, {}
    for bits in parameters.weight_widths:
        singles = [
            RandomCase("uniform", bits, bits, 0.5, seed=seed).jobs(parameters)[0]
            for seed in range(1, row_blocks + 1)
        ]
        job = Job(
            bits,
            bits,
            False,
            np.concatenate([each.weights for each in singles]),
            np.concatenate([each.activations for each in singles]),
        )
        recording = tile.record([job], directory=directory)
        energy = glitch_energy(simulation, recording, tile.windows(recording)["compute"])
        count = (row_blocks - 1) * job.activations.shape[1]
        zero[bits] = energy.zero_delay[BLOCK] / count
        delayed[bits] = energy.delayed[BLOCK] / count
    library = tile.library
    return FlipFlopBuffer(
        library=name,
        library_sha256=library.digest,
        voltage=library.voltage,
        temperature=library.temperature,
        rows=size,
        columns=size,
        entries=parameters.partial_sums,
        bits=entry_bits(parameters),
        area_um2=tile.synthesis.area[BLOCK],
        zero_delay_fj=zero,
        delayed_fj=delayed,
    )
