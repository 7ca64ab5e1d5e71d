"""A network of mixed precision beside uniform ones, with and without its partial sums."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from adq.cost.models import BASELINE_BITS
from adq.cost.sources import architecture_work
from adq.energy.coefficients import EnergyError, coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.glitches import glitch_factors
from adq.energy.memory.partial_sums import flip_flop_buffer, layer_pj
from adq.energy.sources import architecture_energies
from adq.rtl.parameters import TileParameters

__all__ = ["Comparison", "NetworkSums", "compare_networks", "comparison_table"]

UNIFORM = (4, 8, 16)
"""Bits of the uniform networks."""

DENSITY = 0.5

COLUMNS = {
    "array": "array",
    "array_delayed": "array with glitches",
    "flip_flops": "with partial sums in flip-flops",
    "sram": "with partial sums in SRAM",
}
"""Energies of a network, as tables call them."""


@dataclass(frozen=True)
class NetworkSums:
    """Energies of a network, an image, in uJ: of computing, without loading weights.

    Attributes
    ----------
    array : by the model, without glitches and partial sums
    array_delayed : with glitches
    flip_flops, sram : with glitches, and with partial sums in either
    """

    name: str
    array: float
    array_delayed: float
    flip_flops: float
    sram: float


@dataclass(frozen=True)
class Comparison:
    """Networks of one architecture, that of mixed precision first."""

    architecture: str
    rows: int
    columns: int
    library: str
    networks: tuple[NetworkSums, ...]

    def ratios(self, network: NetworkSums) -> dict[str, float]:
        """Return how many times as much as the first a network takes, by energy."""
        return {name: getattr(network, name) / getattr(self.networks[0], name) for name in COLUMNS}

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Comparison":
        """Read what ``to_json`` gave."""
        networks = tuple(NetworkSums(**network) for network in content["networks"])
        return cls(**{**content, "networks": networks})


def compare_networks(architecture: str, hidden_bits: int, tile: TileParameters) -> Comparison:
    """Return the energies of an architecture for CIFAR-10's images, its hidden layers at
    ``hidden_bits`` and its first and last at 16, and of the same at uniform precisions.

    Raises
    ------
    EnergyError
        If there are no glitch factors.
    CostError, ModelError
        If there is no such architecture, or no such precision.
    """
    layers = len(architecture_work(architecture, input_shape=(3, 32, 32), classes=10).layers)
    mixed = [BASELINE_BITS, *[hidden_bits] * (layers - 2), BASELINE_BITS]
    networks = [_network(f"hidden layers {hidden_bits} bits", architecture, mixed, tile)]
    networks += [_network(f"uniform {n} bits", architecture, [n], tile) for n in UNIFORM]
    return Comparison(architecture, tile.rows, tile.columns, LIBRARY, tuple(networks))


def _network(
    name: str, architecture: str, bits: Sequence[int], tile: TileParameters
) -> NetworkSums:
    factors = glitch_factors(LIBRARY, tile)
    if factors is None:
        raise EnergyError(f"no glitch factors of {LIBRARY}: measure them with `adq dev glitches`")
    work = architecture_work(architecture, input_shape=(3, 32, 32), classes=10, bits=bits)
    model = coefficients_for(LIBRARY, tile)
    energy = architecture_energies(work, model, densities=[DENSITY], weight_density=0.5, images=1)[
        0
    ]
    delayed = sum(
        each.compute_pj * factors.nearest(each.layer.weight_bits, each.layer.activation_bits).factor
        for each in energy.layers
    )
    flip_flops = sum(layer_pj(work.layers, tile, flip_flop_buffer()))
    sram = sum(layer_pj(work.layers, tile, None))
    scale = 1e-6
    return NetworkSums(
        name=name,
        array=energy.total("compute_pj") * scale,
        array_delayed=delayed * scale,
        flip_flops=(delayed + flip_flops) * scale,
        sram=(delayed + sram) * scale,
    )


def comparison_table(found: Comparison) -> Table:
    """Return the energies of the networks, and how many times the first each takes."""
    table = Table(
        title=f"{found.architecture} on {found.rows}x{found.columns} in {found.library}: "
        "uJ an image, computing"
    )
    table.add_column("network")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for network in found.networks:
        ratios = found.ratios(network)
        table.add_row(
            network.name,
            *(f"{getattr(network, name):,.1f} ({ratios[name]:.1f}x)" for name in COLUMNS),
        )
    return table
