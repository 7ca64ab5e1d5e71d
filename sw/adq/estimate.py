"""Estimate of a PyTorch network's energy on the tile, without an artifact."""

import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adq.console import Console
from adq.energy.coefficients import Coefficients, EnergyError, coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.network_energy import NetworkEnergy
from adq.energy.reports.tables import energy_table, notes
from adq.energy.workload import artifact_features
from adq.golden.artifact import Artifact
from adq.golden.network import NetworkError
from adq.golden.samples import Samples
from adq.quantization.integers import integer_network
from adq.quantization.prepared import Prepared, prepare
from adq.rtl.parameters import TileParameters

__all__ = ["EnergyEstimate", "estimate"]

BITS = 8
"""Precision of layers for which none is given."""


@dataclass(frozen=True)
class EnergyEstimate:
    """Energy of a network on a tile, predicted from its integers; ``print`` shows a table.

    Attributes
    ----------
    network : NetworkEnergy
    model : Coefficients
        Energies that were fitted at gate level.

    """

    network: NetworkEnergy
    model: Coefficients

    @property
    def compute_pj(self) -> float:
        """Energy of computing an image, in pJ."""
        return self.network.total("compute_pj")

    @property
    def load_pj(self) -> float:
        """Energy of loading all weights for an image, in pJ."""
        return self.network.total("load_pj")

    @property
    def fj_per_mac(self) -> float:
        """Energy of computing, in fJ a multiply-accumulate."""
        return self.network.fj_per_mac

    @property
    def layers(self) -> dict[str, float]:
        """Energy of computing an image in each layer, in pJ."""
        return {each.layer.name: each.compute_pj for each in self.network.layers}

    @property
    def notes(self) -> str:
        """Notes on the figures, a line each: error, conditions, and what they leave out."""
        return notes(self.model, [self.network])

    def to_json(self) -> dict[str, Any]:
        """Return the energies as plain values for JSON."""
        return self.network.to_json()

    def __str__(self) -> str:
        text = io.StringIO()
        console = Console(markup=False, file=text, width=140)
        console.print(energy_table(self.network))
        return f"{text.getvalue()}{self.notes}"

    __repr__ = __str__


@torch.no_grad()
def estimate(
    network: nn.Module | Prepared,
    example: torch.Tensor,
    *,
    bits: int | Mapping[str, int] | None = None,
    tile: TileParameters | None = None,
    library: str = LIBRARY,
) -> EnergyEstimate:
    """Estimate what a network takes on a tile, from the integers that an example gives rise to.

    Nothing is simulated and nothing is written. The figures are those of ``adq energy`` for the
    artifact of the same network.

    Parameters
    ----------
    network
        Any module that :func:`adq.prepare` reads, which is left as it is; or a prepared network,
        with the ranges that its training found.
    example
        Images (N, C, H, W), or (N, C, L) or (N, F), as the network takes them. All of them count.
    bits
        Precision of all layers, or of each layer by its name (others: 8), 2 to 16. Without it, a
        module has 8 bits and a prepared network the bits that it has.
    tile
        Size of the tile; by default 64x64.
    library
        Cell library that the energies are of.

    Raises
    ------
    adq.PrepareError
        The network holds something that has no integer form.
    adq.quantization.integers.ExportError
        A prepared network has a tensor whose range was never found.
    EnergyError
        There are no energies of this library, or ``bits`` are given for a prepared network.
    adq.golden.mapping.mapper.MappingError
        The tile cannot compute a layer.

    """
    model = coefficients_for(library, tile or TileParameters())
    if isinstance(network, Prepared):
        if bits is not None:
            raise EnergyError(
                "a prepared network has bits of its own: change them with set_bits, then train or "
                "show it a batch"
            )
        prepared = network
    else:
        prepared = _prepared(network, example, BITS if bits is None else bits)
    try:
        integers = integer_network(prepared, name=type(prepared.model.network).__name__)
        inputs = prepared.input_integers(example).cpu().numpy()
    except NetworkError as error:
        raise EnergyError(str(error)) from None
    samples = Samples.record(integers, inputs, labels=None)
    artifact = Artifact(network=integers, samples=samples, generator={})
    layers = artifact_features(artifact, model.tile, len(inputs))
    plural = "s" if len(inputs) > 1 else ""
    operands = f"the operands of {len(inputs)} image{plural}"
    return EnergyEstimate(NetworkEnergy.of(integers.name, layers, model, operands), model)


def _prepared(network: nn.Module, example: torch.Tensor, bits: int | Mapping[str, int]) -> Prepared:
    """Prepare a copy of a module, with ranges from the example and batch norm as in evaluation."""
    same = bits if isinstance(bits, int) else BITS
    prepared = prepare(copy.deepcopy(network), example, bits=same)
    if not isinstance(bits, int):
        prepared.set_bits(bits)
    model = prepared.model.eval()
    for quantizer in model.activation_quantizers.values():
        quantizer.train()  # which finds ranges; batch norm and dropout stay as in evaluation
    model(example)
    model.eval()
    return prepared
