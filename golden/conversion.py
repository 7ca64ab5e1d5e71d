"""Artifacts of older format versions, as the newest version has them."""

import dataclasses

import numpy as np

from adq.golden.files.stored_arrays import Array, chunks
from adq.golden.network import AveragePool2d, MatrixLayer, Multiply, Node, Rescale
from adq.golden.requantize import skip_multiplier_and_shift
from adq.golden.samples import Artifact, Samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
    """An artifact with skip multipliers of 16 bits, and how its integers compare."""

    artifact: Artifact
    nodes: tuple[str, ...]
    """Nodes whose skip multipliers were rounded."""
    differing: int
    """Activations of the samples that are another integer now."""
    activations: int
    """Activations of the samples."""
    differing_classes: int
    """Samples of which another class is found."""


def converted(artifact: Artifact) -> Converted:
    """Round skip multipliers to 16 bits and a shift, and compute the samples anew.

    A network whose skip multipliers have 16 bits stays as it is.
    """
    network = artifact.network
    narrow = tuple(map(_narrowed, network.nodes))
    pairs = zip(narrow, network.nodes, strict=True)
    rounded = tuple(node.name for node, before in pairs if node is not before)
    network = dataclasses.replace(network, nodes=narrow)
    old = artifact.samples
    samples = dataclasses.replace(
        Samples.record(network, old.inputs, None), labels=old.labels
    )  # fmt: skip
    differing = sum(
        _differing(samples.outputs[name], outputs) for name, outputs in old.outputs.items()
    )
    return Converted(
        artifact=dataclasses.replace(artifact, network=network, samples=samples),
        nodes=rounded,
        differing=differing,
        activations=sum(outputs.size for outputs in old.outputs.values()),
        differing_classes=_differing(samples.classes, old.classes),
    )


def _differing(one: Array, other: Array) -> int:
    """Count integers that differ between two arrays of one shape and dtype."""
    pairs = zip(chunks(one), chunks(other), strict=True)
    return sum(int((part != of_other).sum()) for part, of_other in pairs)


def _narrowed(node: Node) -> Node:
    if not isinstance(node, MatrixLayer | AveragePool2d | Rescale | Multiply):
        return node
    requantize = node.requantize
    if requantize is None or requantize.skip_multiplier is None or not requantize.has_wide_skip:
        return node
    real = np.ldexp(requantize.skip_multiplier.astype(np.float64), -requantize.shift)
    multiplier, shift = skip_multiplier_and_shift(real, requantize.shift)
    narrow = dataclasses.replace(requantize, skip_multiplier=multiplier, skip_shift=shift)
    return dataclasses.replace(node, requantize=narrow)
