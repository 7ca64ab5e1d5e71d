"""Cycles a second of a whole layer under cocotb, and of the same model under a C++ ``main()``."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adq.golden.mapping import mapper
from adq.golden.network import INPUT, ActivationFormat, Flatten, Linear, Network
from adq.rtl.parameters import TileParameters
from adq.verif.bench.cocotb_plays import play_under_cocotb
from adq.verif.operands.beats import results_of
from adq.verif.operands.jobs import Streams, layer_jobs, streams_of
from adq.verif.simulation.harness.bare import build_bare, play_bare
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.activity import CountedDesign

__all__ = ["Layer", "SimulationSpeed", "measure_speed"]

BITS = 4
POSITIONS = 2048
PLAYS = 2
"""Plays of a process, one after the other."""


class Layer:
    """A convolution of 64 channels to 64 with a kernel of 3 x 3 at 4 bits, as the matrix product
    that it is, for 2048 positions: half of the activations are zero, as after a ReLU.
    """

    description = f"64 to 64 channels, 3x3, {BITS} x {BITS} bits, {POSITIONS:,} positions"

    def __init__(self, parameters: TileParameters, seed: int):
        rng = np.random.default_rng(seed)
        channels, side, limit = 64, 3, 2 ** (BITS - 1)
        linear = Linear(
            name="layer",
            input="flat",
            weight=rng.integers(-limit, limit, (channels, channels * side * side)),
            weight_bits=BITS,
            bias=np.zeros(channels, np.int64),
            requantize=None,
        )
        network = Network(
            name="layer",
            input_shape=(channels, side, side),
            input_format=ActivationFormat(bits=BITS, signed=False, scale=1.0),
            nodes=(Flatten(name="flat", input=INPUT), linear),
        )
        self.parameters = parameters
        self.matrix = rng.integers(0, 2**BITS, (POSITIONS, linear.rows))
        self.matrix *= rng.integers(0, 2, self.matrix.shape)
        self.weights = linear.weight_matrix.astype(np.int64)
        self.plan = mapper.plan_layer(network, "layer", POSITIONS, parameters)

    def streams(self) -> Streams:
        """Return what the harness plays."""
        return streams_of(self.parameters, list(layer_jobs(self.plan, self.matrix, self.weights)))

    def wrong(self, results_file: Path) -> int:
        """Return the accumulators in a file of results that differ from NumPy's product."""
        outputs = results_of(self.parameters, results_file.read_text()).outputs(BITS)
        ends = np.cumsum([job.vector_count for job in self.plan.jobs])
        accumulators = mapper.assemble(self.plan, np.split(outputs, ends[:-1]))
        return int((accumulators != self.matrix @ self.weights).sum())


@dataclass(frozen=True)
class SimulationSpeed:
    """Cycles a second of interleaved runs, cocotb's and bare ones, in the order of the runs.

    Attributes
    ----------
    cycles : of a play, the same in all of them
    cocotb, bare : cycles a second of wall clock
    cpu_cocotb, cpu_bare : cycles a second of processor time, which other processes disturb less
    wrong_results : results that differ from NumPy's product, or between the two
    """

    layer: str
    cycles: int
    cocotb: list[float]
    bare: list[float]
    cpu_cocotb: list[float]
    cpu_bare: list[float]
    wrong_results: int

    @property
    def ratios(self) -> list[float]:
        """Ratio of each run under cocotb to the bare one beside it, by wall clock."""
        return [a / b for a, b in zip(self.cocotb, self.bare, strict=True)]

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def cpu_ratio(self) -> float:
        """Return the median ratio of processor times."""
        return statistics.median(a / b for a, b in zip(self.cpu_cocotb, self.cpu_bare, strict=True))


def measure_speed(
    model: Build,
    design: CountedDesign,
    parameters: TileParameters,
    *,
    directory: Path,
    repeats: int,
    seed: int,
    progress: Callable[[str], None],
) -> SimulationSpeed:
    """Simulate a layer ``repeats`` times under cocotb and bare, in turn.

    Raises
    ------
    SimulationError
        If a simulation breaks off or the tile hangs.
    """
    layer = Layer(parameters, seed)
    streams = layer.streams()
    build_bare(model)
    folders = {name: directory / name for name in ("cocotb", "bare")}
    runs = {"cocotb": [], "bare": []}
    for repeat in range(repeats):
        progress(f"simulation speed, {repeat + 1} of {repeats}")
        runs["cocotb"] += play_under_cocotb(
            model, design, parameters, streams, directory=folders["cocotb"], plays=PLAYS
        )
        bare = play_bare(model, streams, directory=folders["bare"], plays=PLAYS)
        runs["bare"] += map(asdict, bare)

    cycles = {play["cycles"] for plays in runs.values() for play in plays}
    if len(cycles) != 1:
        raise SimulationError(f"cocotb's and bare runs differ in their cycles: {sorted(cycles)}")
    [cycles] = cycles
    files = [folder / "results.hex" for folder in folders.values()]
    wrong = layer.wrong(files[0]) + (files[0].read_bytes() != files[1].read_bytes())

    def speeds(name: str, clock: str) -> list[float]:
        return [cycles / play[clock] for play in runs[name]]

    return SimulationSpeed(
        layer=layer.description,
        cycles=cycles,
        cocotb=speeds("cocotb", "seconds"),
        bare=speeds("bare", "seconds"),
        cpu_cocotb=speeds("cocotb", "cpu_seconds"),
        cpu_bare=speeds("bare", "cpu_seconds"),
        wrong_results=wrong,
    )
