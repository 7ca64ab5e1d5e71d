"""Does an artifact hold what its network computes?"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from adq.golden.files.stored_arrays import Array, chunks
from adq.golden.integer_network import Trace, run
from adq.golden.network import Network
from adq.golden.samples import Artifact, Samples

DENSITY_TOLERANCE = 0.25
"""How far the density of a few samples may lie from that of the last epoch of training; four
images of the checked-in networks lie up to 0.17 from it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeAgreement:
    """Comparison of a node's integers with those that another implementation computed."""

    node: str
    operation: str
    integers: int
    """Accumulators and outputs compared, over all images; for the first output also the classes."""
    differing: int
    first_difference: str | None
    """Where the first differing integer stands, and both values; None where all agree."""

    @property
    def agrees(self) -> bool:
        """Return whether not one integer differs."""
        return self.differing == 0


def doubts(artifact: Artifact) -> list[str]:
    """Say which statements about a network its own integers speak against.

    No integer depends on a layer's density, and more bits than the weights need change none, but
    costs are told by both. Weights that were scaled channel by channel use all of their bits, and
    the samples' share of non-zero activations is near that of training.
    """
    network, samples = artifact.network, artifact.samples
    found = []
    for layer in network.matrix_layers:
        largest = max(int(layer.weight.max()), -1 - int(layer.weight.min()))
        needed = largest.bit_length() + 1
        if needed < layer.weight_bits:
            found.append(
                f"{layer.name}: says weights of {layer.weight_bits} bits, but none needs more than "
                f"{needed}"
            )
        outputs = samples.outputs.get(layer.name)
        if layer.density is None or outputs is None:
            continue
        share = sum(map(np.count_nonzero, chunks(outputs))) / outputs.size
        if abs(share - layer.density) > DENSITY_TOLERANCE:
            found.append(
                f"{layer.name}: says a density of {layer.density:.3f}, but {share:.3f} of its "
                f"outputs are not zero in the {len(samples)} samples"
            )
    return found


class Integers(Protocol):
    """Integers of a batch by node: an artifact's samples, or the trace of an implementation."""

    @property
    def accumulators(self) -> Mapping[str, Array]: ...

    @property
    def outputs(self) -> Mapping[str, Array]: ...

    @property
    def classes(self) -> Array: ...


def verify_artifact(
    artifact: Artifact, compute: Callable[[Network, np.ndarray], Trace] = run
) -> list[NodeAgreement]:
    """Recompute all samples and compare every integer, node by node.

    ``compute`` is the implementation that is held against the artifact.
    """
    network = artifact.network
    return summed(
        compare(network, stored, compute(network, np.asarray(stored.inputs)), first_image=first)
        for first, stored in _numbered(artifact.samples.batches(network))
    )


def _numbered(batches: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    """Yield batches with the number of their first image."""
    first = 0
    for batch in batches:
        yield first, batch
        first += len(batch)


def summed(batches: Iterable[list[NodeAgreement]]) -> list[NodeAgreement]:
    """Return the agreement of all batches, node by node."""
    return [functools.reduce(_sum, of_node) for of_node in zip(*batches, strict=True)]


def _sum(one: NodeAgreement, other: NodeAgreement) -> NodeAgreement:
    return dataclasses.replace(
        one,
        integers=one.integers + other.integers,
        differing=one.differing + other.differing,
        first_difference=one.first_difference or other.first_difference,
    )


def compare(
    network: Network, stored: Integers, computed: Integers, *, first_image: int = 0
) -> list[NodeAgreement]:
    """Compare the integers that a network gave for the same images twice, node by node.

    ``first_image`` is the number of the first of these images among all.
    """
    agreements = []
    for node in network.nodes:
        pairs = [
            (kind, np.asarray(of_stored[node.name]), np.asarray(of_computed[node.name]))
            for kind, of_stored, of_computed in (
                ("accumulator", stored.accumulators, computed.accumulators),
                ("output", stored.outputs, computed.outputs),
            )
            if node.name in of_stored
        ]
        if node.name == network.outputs[0]:
            pairs.append(("class", np.asarray(stored.classes), np.asarray(computed.classes)))
        first_differences = [
            text for pair in pairs if (text := _first_difference(*pair, first_image))
        ]
        agreements.append(
            NodeAgreement(
                node=node.name,
                operation=type(node).__name__,
                integers=sum(one.size for _, one, _ in pairs),
                differing=sum(_differing(one, other) for _, one, other in pairs),
                first_difference=first_differences[0] if first_differences else None,
            )
        )
    return agreements


def _differing(stored: np.ndarray, computed: np.ndarray) -> int:
    """Return how many integers differ: all of them where there are not as many as stored."""
    if stored.shape != computed.shape:
        return stored.size
    return int((stored != computed).sum())


def _first_difference(
    kind: str, stored: np.ndarray, computed: np.ndarray, first_image: int
) -> str | None:
    if stored.shape != computed.shape:
        return f"{kind}s are of shape {stored.shape}, computed {computed.shape}"
    places = np.argwhere(stored != computed)
    if not len(places):
        return None
    image, *position = (int(index) for index in places[0])
    at = tuple(places[0])
    place = f" at {tuple(position)}" if position else ""
    return f"{kind} of image {first_image + image}{place} is {stored[at]}, computed {computed[at]}"
