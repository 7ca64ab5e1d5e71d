"""Does an artifact hold what its network computes?"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from adq.golden.integer_network import Trace, run
from adq.golden.network import Network
from adq.golden.samples import Artifact


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeAgreement:
    """How the integers of one node compare with the same computed by another implementation."""

    node: str
    operation: str
    integers: int
    """Accumulators and outputs compared, over all images; for the last node also the classes."""
    differing: int
    first_difference: str | None
    """Where the first differing integer stands, and both values; None where all agree."""

    @property
    def agrees(self) -> bool:
        """Whether not one integer differs."""
        return self.differing == 0


class Integers(Protocol):
    """Integers of a batch by node: an artifact's samples, or the trace of an implementation."""

    accumulators: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    classes: np.ndarray


def verify_artifact(
    artifact: Artifact, compute: Callable[[Network, np.ndarray], Trace] = run
) -> list[NodeAgreement]:
    """Recompute all samples and compare every integer, node by node.

    ``compute`` is the implementation that is held against the artifact.
    """
    network, samples = artifact.network, artifact.samples
    return compare(network, samples, compute(network, samples.inputs))


def compare(network: Network, stored: Integers, computed: Integers) -> list[NodeAgreement]:
    """Compare the integers that a network gave for the same images twice, node by node."""
    agreements = []
    for node in network.nodes:
        pairs = [
            (kind, of_stored[node.name], of_computed[node.name])
            for kind, of_stored, of_computed in (
                ("accumulator", stored.accumulators, computed.accumulators),
                ("output", stored.outputs, computed.outputs),
            )
            if node.name in of_stored
        ]
        if node is network.nodes[-1]:
            pairs.append(("class", stored.classes, computed.classes))
        first_differences = [text for pair in pairs if (text := _first_difference(*pair))]
        agreements.append(
            NodeAgreement(
                node=node.name,
                operation=type(node).__name__,
                integers=sum(one.size for _, one, _ in pairs),
                differing=sum(int((one != other).sum()) for _, one, other in pairs),
                first_difference=first_differences[0] if first_differences else None,
            )
        )
    return agreements


def _first_difference(kind: str, stored: np.ndarray, computed: np.ndarray) -> str | None:
    places = np.argwhere(stored != computed)
    if not len(places):
        return None
    image, *position = (int(index) for index in places[0])
    at = tuple(places[0])
    place = f" at {tuple(position)}" if position else ""
    return f"{kind} of image {image}{place} is {stored[at]}, computed {computed[at]}"
