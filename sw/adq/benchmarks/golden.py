"""Speed of the integer network beside ONNX Runtime and PyTorch, and the cost of an artifact."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from torch import nn
from torch.nn import functional

from adq.benchmarks import processes
from adq.benchmarks.integer_networks import resnet18, vgg19
from adq.golden import integer_network
from adq.golden.artifact import Artifact, Samples, read_artifact, write_artifact
from adq.golden.network import (
    INPUT,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    NetworkError,
)
from adq.golden.onnx.graph import add_graphs, build_model
from adq.golden.onnx.session import session

__all__ = ["ExportCost", "Speed", "measure_export", "measure_speed"]

NETWORKS = {"vgg19": vgg19, "resnet18": resnet18}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Images a second of one network, each the median of interleaved rounds."""

    network: str
    macs: int
    batch: int
    cores: int
    rounds: int
    numpy: float
    onnx_runtime: float
    pytorch: float
    """Float32, the same layers without batch norm, which is folded as in the integers."""
    against_onnx_runtime: float
    """Median over the rounds of NumPy's speed by ONNX Runtime's."""
    differing_logits: int
    """Between NumPy and ONNX Runtime."""

    def to_json(self) -> dict:
        """Return what was measured as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ExportCost:
    """Cost of writing an artifact, in a process of its own."""

    network: str
    images: int
    seconds: float
    """To compute the samples and to write artifact and both graphs."""
    gibibytes: float
    """Largest resident memory of the process, its random weights included."""
    artifact_bytes: int
    """Manifest and tensors."""
    integer_bytes: int
    """Integers at the widths at which they are stored."""

    def to_json(self) -> dict:
        """Return what was measured as JSON values."""
        return asdict(self)


class FloatNetwork(nn.Module):
    """The layers of an integer network in float32, with weights of its sizes."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network
        self.layers = nn.ModuleDict()
        for node in network.nodes:
            if isinstance(node, Conv2d):
                layer = nn.Conv2d(
                    node.groups * node.weight.shape[1],
                    node.outputs,
                    node.kernel,
                    node.stride,
                    node.padding,
                    groups=node.groups,
                )
            elif isinstance(node, Linear):
                layer = nn.Linear(node.rows, node.outputs)
            else:
                continue
            self.layers[node.name] = layer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        tensors = {INPUT: images}
        for node in self.network.nodes:
            output = self._output(node, tensors[node.input])
            requantize = getattr(node, "requantize", None)
            if requantize is not None:
                if requantize.skip is not None:
                    output = output + tensors[requantize.skip]
                if not requantize.format.signed:
                    output = functional.relu(output)
            tensors[node.name] = output
        return output

    def _output(self, node, source: torch.Tensor) -> torch.Tensor:
        match node:
            case Conv2d() | Linear():
                return self.layers[node.name](source)
            case MaxPool2d():
                return functional.max_pool2d(source, node.kernel, node.stride, node.padding)
            case AveragePool2d():
                return functional.avg_pool2d(source, node.kernel, node.stride)
            case Flatten():
                return source.flatten(1)
        raise NetworkError(f"{node.name}: {type(node).__name__} has no float32 layer here")


def measure_speed(name: str, *, batch: int, rounds: int, progress: Callable[[str], None]) -> Speed:
    """Measure a network, on all cores of this process: a round is one batch by each, in turn."""
    cores = len(os.sched_getaffinity(0))
    network = NETWORKS[name]()
    rng = np.random.default_rng(1)
    limits = network.input_format
    images = rng.integers(limits.lo, limits.hi + 1, (batch, *network.input_shape))
    images = network.check_inputs(images)
    runtime = session(build_model(network), threads=cores)
    torch.set_num_threads(cores)
    float_network = FloatNetwork(network).eval()
    float_images = torch.randn(images.shape)
    logits = {}

    def numpy() -> None:
        logits["numpy"] = integer_network.logits(network, images, threads=cores)

    def onnx_runtime() -> None:
        (logits["onnx_runtime"],) = runtime.run(None, {INPUT: images})

    @torch.inference_mode()
    def pytorch() -> None:
        float_network(float_images)

    runs = (numpy, onnx_runtime, pytorch)
    for run in runs:
        run()
    seconds = {run.__name__: [] for run in runs}
    for number in range(rounds):
        for run in runs:
            progress(f"{name}: round {number + 1} of {rounds}, {run.__name__}")
            began = time.perf_counter()
            run()
            seconds[run.__name__].append(time.perf_counter() - began)
    ratios = [
        by_onnx / by_numpy
        for by_numpy, by_onnx in zip(seconds["numpy"], seconds["onnx_runtime"], strict=True)
    ]
    return Speed(
        network=name,
        macs=sum(network.macs(layer.name) for layer in network.matrix_layers),
        batch=batch,
        cores=cores,
        rounds=rounds,
        **{kind: batch / statistics.median(taken) for kind, taken in seconds.items()},
        against_onnx_runtime=statistics.median(ratios),
        differing_logits=int((logits["numpy"] != logits["onnx_runtime"]).sum()),
    )


def measure_export(name: str, directory: Path, *, images: int) -> ExportCost:
    """Write a network's artifact with both graphs, in a process of its own."""
    command = [sys.executable, "-m", __name__, name, str(directory), str(images)]
    used = processes.run(command)
    artifact = read_artifact(directory)
    integers = sum(_stored(directory))
    return ExportCost(
        network=artifact.network.name,
        images=images,
        seconds=float(used.output),
        gibibytes=used.gibibytes,
        artifact_bytes=sum(
            (directory / file).stat().st_size for file in ("manifest.json", "tensors.safetensors")
        ),
        integer_bytes=integers,
    )


def _stored(directory: Path) -> Iterator[int]:
    """Yield the bytes of each tensor of an artifact."""
    for array in safetensors.numpy.load_file(directory / "tensors.safetensors").values():
        yield array.nbytes


def _export(name: str, directory: Path, images: int) -> None:
    network = NETWORKS[name]()
    rng = np.random.default_rng(2)
    began = time.perf_counter()
    limits = network.input_format
    inputs = rng.integers(limits.lo, limits.hi + 1, (images, *network.input_shape))
    samples = Samples.record(network, inputs, np.zeros(images, np.int64))
    generator = {"name": "adq.benchmarks", "version": "1"}
    write_artifact(directory, Artifact(network=network, samples=samples, generator=generator))
    add_graphs(directory, ["onnx", "qonnx"])
    seconds = time.perf_counter() - began
    print(seconds)


if __name__ == "__main__":
    _export(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
