"""Does an artifact hold what its network computes?"""

import dataclasses

import numpy as np

from golden.integer_network import run
from golden.samples import Artifact


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeAgreement:
    """How the stored integers of one node compare with the recomputed ones."""

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


def verify_artifact(artifact: Artifact) -> list[NodeAgreement]:
    """Recompute all samples with the integer network and compare every integer, node by node."""
    network, samples = artifact.network, artifact.samples
    trace = run(network, samples.inputs)
    agreements = []
    for node in network.nodes:
        pairs = [
            (kind, stored[node.name], computed[node.name])
            for kind, stored, computed in (
                ("accumulator", samples.accumulators, trace.accumulators),
                ("output", samples.outputs, trace.outputs),
            )
            if node.name in computed
        ]
        if node is network.nodes[-1]:
            pairs.append(("class", samples.classes, trace.classes))
        first_differences = [text for pair in pairs if (text := _first_difference(*pair))]
        agreements.append(
            NodeAgreement(
                node=node.name,
                operation=type(node).__name__,
                integers=sum(computed.size for _, _, computed in pairs),
                differing=sum(int((stored != computed).sum()) for _, stored, computed in pairs),
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
