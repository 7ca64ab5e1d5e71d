"""Holds an artifact against every implementation that this machine has."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adq.golden import integer_network
from adq.golden.artifact import GRAPHS, read_stored
from adq.golden.files.json_reader import JsonObject
from adq.golden.network import Network
from adq.golden.verify import NodeAgreement, compare, summed, verify_artifact

__all__ = ["IMPLEMENTATIONS", "Verification", "Verified", "missing_package", "verify_onnx"]

Run = Callable[[Network, np.ndarray], integer_network.Trace]

IMPLEMENTATIONS = {"numpy": (), "onnx": ("onnx", "onnxruntime"), "qonnx": ("onnx", "qonnx")}
"""Implementations that compute a network, and the packages that it needs beyond this one's own."""

QONNX_IMAGES = 4
"""Images for the executor of QONNX, which starts a session a node and image."""

BATCH = 256
"""Images whose integers are held at a time."""


@dataclass(frozen=True)
class Verified:
    """Agreement of one implementation with integers that another gave."""

    implementation: str
    against: str
    """Source of the other integers: ``samples`` of the artifact, or ``numpy``."""
    images: int
    nodes: list[NodeAgreement]

    @property
    def agrees(self) -> bool:
        """Return whether not one integer differs."""
        return all(node.agrees for node in self.nodes)

    def to_json(self) -> JsonObject:
        """Return everything as JSON values."""
        return asdict(self) | {"agrees": self.agrees}


def missing_package(implementation: str) -> str | None:
    """Name a package that an implementation needs and that is not installed."""
    for package in IMPLEMENTATIONS[implementation]:
        if importlib.util.find_spec(package) is None:
            return package
    return None


class Verification:
    """An artifact and the implementations that run its network.

    Raises
    ------
    adq.golden.samples.ArtifactError
        The artifact cannot be read.

    """

    def __init__(self, directory: Path):
        stored = read_stored(directory)
        self.directory = directory
        self.artifact = stored.artifact
        self._graphs = stored.graphs

    def check_graphs(self) -> None:
        """Hold the graphs that the artifact has against those of its network.

        Raises
        ------
        adq.golden.onnx.check.OnnxError
            A graph is another one.

        """
        from adq.golden.onnx.check import require_graph_of

        for dialect, data in self._graphs.items():
            where = str(self.directory / GRAPHS[dialect])
            require_graph_of(self.artifact.network, dialect, data, where)

    def samples(self, implementation: str) -> Verified:
        """Hold an implementation against the artifact's samples."""
        execute = self._run(implementation)
        if implementation != "qonnx":
            nodes = verify_artifact(self.artifact, execute)
            return Verified(implementation, "samples", len(self.artifact.samples), nodes)
        network, few = self.artifact.network, self.artifact.samples[:QONNX_IMAGES]
        nodes = compare(
            network, few, execute(network, np.asarray(few.inputs))
        )  # its graph is for so many
        return Verified(implementation, "samples", len(few), nodes)

    def random(self, images: int, seed: int) -> Iterator[Verified]:
        """Hold ONNX Runtime against NumPy on random images; yields the sum after each batch."""
        network = self.artifact.network
        return hold_against_numpy(network, self._run("onnx"), random_images(network, images, seed))

    def _run(self, implementation: str) -> Run:
        if implementation == "numpy":
            return integer_network.run
        from adq.golden.onnx.graph import build_model
        from adq.golden.onnx.session import OnnxRun, QonnxRun

        # Always the graph of the network as it was read: a file's graph is compared, never run.
        network = self.artifact.network
        if implementation == "onnx":
            executed: OnnxRun | QonnxRun = OnnxRun(network, build_model(network))
        else:
            batch = min(len(self.artifact.samples), QONNX_IMAGES)
            executed = QonnxRun(network, build_model(network, "qonnx", batch=batch))
        return lambda network, inputs: executed(inputs)


def verify_onnx(network: Network, inputs: np.ndarray) -> Iterator[Verified]:
    """Hold ONNX Runtime against NumPy on images (N, C, H, W); yields the sum after each batch."""
    from adq.golden.onnx.graph import build_model
    from adq.golden.onnx.session import OnnxRun

    executed = OnnxRun(network, build_model(network))
    batches = (inputs[first : first + BATCH] for first in range(0, len(inputs), BATCH))
    return hold_against_numpy(network, lambda network, inputs: executed(inputs), batches)


def hold_against_numpy(
    network: Network, run: Run, batches: Iterable[np.ndarray]
) -> Iterator[Verified]:
    """Compare every integer of another implementation with NumPy's, batch by batch."""
    nodes, done = None, 0
    for inputs in batches:
        found = compare(
            network, integer_network.run(network, inputs), run(network, inputs), first_image=done
        )
        nodes = found if nodes is None else summed([nodes, found])
        done += len(inputs)
        yield Verified("onnx", "numpy", done, nodes)


def random_images(network: Network, images: int, seed: int) -> Iterator[np.ndarray]:
    """Yield batches of uniformly random integers of the network's input format, (N, C, H, W)."""
    rng = np.random.default_rng(seed)
    lo, hi = network.input_format.lo, network.input_format.hi
    for first in range(0, images, BATCH):
        count = min(BATCH, images - first)
        yield rng.integers(lo, hi + 1, (count, *network.input_shape))
