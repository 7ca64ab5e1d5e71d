"""Holds a user's own network, in floating point, against an artifact's integers, layer by layer.

Both see the artifact's images. Quantization makes them differ, the more the fewer bits there are;
a fault shows as a layer at which the difference jumps.
"""

import importlib
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import fx, nn

from adq.golden.files.json_reader import JsonObject
from adq.golden.samples import Artifact
from adq.quantization.assembly import assemble
from adq.quantization.reading.network import Read
from adq.quantization.reading.tracing import Graph, PrepareError, evaluating, trace
from adq.quantization.steps.stages import InputStage, Stage
from adq.quantization.steps.step import Dropping, Step


@dataclass(frozen=True)
class LayerDifference:
    """Difference of a layer's integers, as real numbers, from the network's own tensor."""

    node: str
    operation: str
    error: float
    """Root mean square of the difference, relative to that of the network's own tensor."""

    def to_json(self) -> JsonObject:
        """Return all fields as JSON values."""
        return asdict(self)


def load_network(reference: str) -> nn.Module:
    """Call ``module:function``, which a user names, for a network.

    Modules are looked for in the working folder, too.

    Raises
    ------
    PrepareError
        There is no such module or function, or it gives no network.

    """
    path, _, name = reference.partition(":")
    if not path or not name:
        raise PrepareError(f"{reference!r}: write it as module:function, such as mine:trained")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(path), name, None)
    except ImportError as error:
        raise PrepareError(f"{path}: cannot be imported: {error}") from None
    finally:
        sys.path.pop(0)
    if not callable(function):
        raise PrepareError(f"{path} has no function {name}: write one that returns the network")
    network = function()
    if not isinstance(network, nn.Module):
        raise PrepareError(f"{reference} gives a {type(network).__name__}, no torch.nn.Module")
    return network


def compare_with_float(artifact: Artifact, network: nn.Module) -> list[LayerDifference]:
    """Compare every stage of a network with the artifact's node of the same name, in order.

    Accumulators of an output have a scale that an artifact does not say: they are compared up to
    one positive factor.

    Raises
    ------
    PrepareError
        The network cannot be read, or is not the one that was exported.

    """
    images = _images(artifact, network)
    graph = trace(network, images[:1])
    read = Read(graph)
    assembled = assemble(read.operations, [name for name, _ in read.outputs], bits=16)
    steps = [
        step
        for step in assembled.steps
        if not isinstance(step, InputStage | Dropping) and assembled.last[step.name] in read.nodes
    ]
    nodes = {step: read.nodes[assembled.last[step.name]] for step in steps}
    with evaluating(network):
        tensors = _run(graph, images, list(nodes.values()))
    return [_difference(artifact, step, tensors[node]) for step, node in nodes.items()]


def parting(differences: list[LayerDifference], tolerance: float) -> LayerDifference | None:
    """Return the first layer whose difference is beyond a tolerance, if there is one."""
    return next((each for each in differences if not each.error <= tolerance), None)


def _images(artifact: Artifact, network: nn.Module) -> torch.Tensor:
    """Return the samples as real numbers, in the shape that the network takes."""
    scale = artifact.network.input_format.scale
    images = torch.from_numpy(artifact.samples.inputs[:].astype(np.float32) * np.float32(scale))
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    images = images.to(device)
    if images.dim() == 4 and images.shape[2] == 1:
        try:
            with evaluating(network):
                network(images[:1].clone())
        except Exception:
            return images.squeeze(2)  # a length alone
    return images


def _run(graph: Graph, images: torch.Tensor, nodes: list[fx.Node]) -> dict[fx.Node, np.ndarray]:
    """Return the tensors of nodes for all images, computed by as many as the graph takes at a
    time.
    """
    size = len(graph.probe)
    found: dict[fx.Node, list[torch.Tensor]] = {node: [] for node in nodes}
    for first in range(0, len(images), size):
        batch = images[first : first + size]
        whole = torch.cat([batch, batch[-1:].expand(size - len(batch), *batch.shape[1:])])
        values = graph.run(whole)
        for node in nodes:
            value = values[node]
            value = value[0] if isinstance(value, tuple | list) else value
            if not isinstance(value, torch.Tensor):
                raise AssertionError(f"{node.name} gives no tensor")
            found[node].append(value[: len(batch)].cpu())
    return {node: torch.cat(parts).numpy() for node, parts in found.items()}


def _difference(artifact: Artifact, step: Step, expected: np.ndarray) -> LayerDifference:
    name = step.pool.name if isinstance(step, Stage) and step.pool is not None else step.name
    network, samples = artifact.network, artifact.samples
    integers = samples.outputs.get(name, samples.accumulators.get(name))
    if integers is None:
        raise PrepareError(
            f"{name}: the artifact has no such layer: name the network that was exported"
        )
    if integers.size != expected.size:
        raise PrepareError(
            f"{name}: the network gives {expected.shape}, the artifact holds {integers.shape}: "
            "name the network as it was exported, pruned where that was"
        )
    found = np.asarray(integers).reshape(expected.shape).astype(np.float64)
    expected = expected.astype(np.float64)
    if name in network.formats:
        found *= network.formats[name].scale
    else:
        found *= max(0.0, (found * expected).sum()) / max((found * found).sum(), 1e-300)
    size = np.sqrt(np.square(expected).mean())
    error = np.sqrt(np.square(found - expected).mean())
    return LayerDifference(
        node=name,
        operation=type(network[name]).__name__,
        error=float(error / size) if size else float(error),
    )
