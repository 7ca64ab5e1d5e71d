"""Work of a network's layers on a tile: planned once, with operands formed once, and passed on."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adq.golden.artifact import Artifact
from adq.golden.files.stored_arrays import Array, chunks, head
from adq.golden.formats import ActivationFormat
from adq.golden.mapping.im2col import WindowMatrix
from adq.golden.mapping.mapper import LayerPlan, operands, plan_layer
from adq.golden.network import INPUT, MatrixLayer
from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import features_of
from adq.verif.operands.jobs import LayerJobs

__all__ = ["LayerWork", "network_work", "sample_input"]


@dataclass(frozen=True)
class LayerWork:
    """Work of a matrix layer for the first sample images of an artifact.

    Attributes
    ----------
    layer : MatrixLayer
    format : ActivationFormat
        Of the layer's inputs.
    macs : int
        Of one image.
    images : int
    input_density : float
        Share of the layer's inputs that are not zero.
    plan : LayerPlan
    matrix, weights : operands of the layer, as :func:`adq.golden.mapping.mapper.operands` gives
        them
    """

    layer: MatrixLayer
    format: ActivationFormat
    macs: int
    images: int
    input_density: float
    plan: LayerPlan
    matrix: Array | WindowMatrix
    weights: np.ndarray

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def jobs(self) -> LayerJobs:
        """Jobs of the plan with their operands."""
        return LayerJobs(self.plan, self.matrix, self.weights)

    @cached_property
    def features(self) -> dict[str, float]:
        """Features of the jobs, computed from their operands; see ``features``."""
        return features_of(self.plan.tile, self.jobs)

    @property
    def cycles(self) -> int:
        """Planned cycles, from the first beat offered to the last result."""
        return int(self.features["cycles"])


def sample_input(artifact: Artifact, layer: MatrixLayer, images: int) -> Array:
    """Return the input of a layer for the first samples."""
    samples = artifact.samples
    return head(samples.inputs if layer.input == INPUT else samples.outputs[layer.input], images)


def network_work(artifact: Artifact, tile: TileParameters, images: int) -> Iterator[LayerWork]:
    """Yield the work of each matrix layer in network order. The inputs are the artifact's own
    integers.

    Raises
    ------
    adq.golden.mapping.mapper.MappingError
        If the tile cannot compute a layer.
    """
    network = artifact.network
    for layer in network.matrix_layers:
        layer_input = sample_input(artifact, layer, images)
        matrix, weights = operands(network, layer.name, layer_input)
        plan = plan_layer(network, layer.name, len(matrix), tile)
        yield LayerWork(
            layer=layer,
            format=network.formats[layer.input],
            macs=network.macs(layer.name),
            images=images,
            input_density=sum(map(np.count_nonzero, chunks(layer_input))) / layer_input.size,
            plan=plan,
            matrix=matrix,
            weights=weights,
        )
