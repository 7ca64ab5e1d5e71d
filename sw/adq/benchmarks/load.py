"""Time and memory of the commands that read an artifact, against its layers and channels."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adq.benchmarks import processes
from adq.benchmarks.integer_networks import chain, vgg19
from adq.golden.artifact import GRAPHS, Artifact, Samples, write_artifact
from adq.golden.network import Network
from adq.golden.onnx.graph import build_model

COMMANDS = ("export", "verify", "map", "energy")


@dataclasses.dataclass(frozen=True)
class Workload:
    """A network to put through the commands, and its sample images."""

    name: str
    layers: int
    channels: int
    side: int
    images: int

    def network(self) -> Network:
        """Return the network, with random weights."""
        if self.name == "vgg19":
            return vgg19()
        return chain(self.layers, self.channels, self.side)


WORKLOADS = (
    *(Workload(f"{layers} layers", layers, 16, 8, 4) for layers in (10, 100, 1000)),
    *(Workload(f"{channels} channels", 2, channels, 8, 2) for channels in (64, 128, 256, 512)),
    *(Workload(f"{images} images", 4, 16, 8, images) for images in (10, 100, 1000, 10_000)),
    Workload("vgg19", 17, 512, 32, 1),
)


@dataclasses.dataclass(frozen=True)
class Load:
    """CPU time and memory of a command for a workload."""

    workload: str
    command: str
    cpu_seconds: float
    """Processor time of the process and its children, on all cores."""
    gibibytes: float
    """Largest resident memory."""

    def to_json(self) -> dict:
        """Return the figures as JSON values."""
        return dataclasses.asdict(self)


def measure(workload: Workload, folder: Path) -> Iterator[Load]:
    """Write a workload's artifact and put it through the commands, each in a process of its own.

    Raises
    ------
    subprocess.CalledProcessError
        A command failed.

    """
    artifact = folder / workload.name.replace(" ", "-")
    program = [sys.executable, "-W", "ignore", "-m"]
    write = [*program, "adq.benchmarks.load", workload.name, str(artifact)]
    yield _measured(workload, "export", write)
    for command in COMMANDS[1:]:
        out = str(folder / "out")
        run = [*program, "adq", command, str(artifact), "--out", out]
        yield _measured(workload, command, run)


def _measured(workload: Workload, command: str, arguments: list[str]) -> Load:
    used = processes.run(arguments)
    return Load(workload.name, command, round(used.cpu_seconds, 2), round(used.gibibytes, 3))


def _write(workload: Workload, folder: Path) -> None:
    """Write a workload's artifact with both graphs."""
    network, rng = workload.network(), np.random.default_rng(1)
    lo, hi = network.input_format.lo, network.input_format.hi
    shape = (workload.images, *network.input_shape)
    inputs = rng.integers(lo, hi + 1, shape, dtype=network.input_format.dtype)
    samples = Samples.record(network, inputs, np.zeros(workload.images, np.int64))
    generator = {"name": "adq dev bench-load", "version": "1"}
    artifact = Artifact(network=network, samples=samples, generator=generator)
    graphs = {dialect: build_model(network, dialect).SerializeToString() for dialect in GRAPHS}
    write_artifact(folder, artifact, graphs)


if __name__ == "__main__":
    _write(next(each for each in WORKLOADS if each.name == sys.argv[1]), Path(sys.argv[2]))
