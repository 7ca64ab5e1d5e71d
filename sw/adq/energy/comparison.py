"""The table of a simulated network: what each layer cost."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from adq.energy.simulated import ModelledEnergy
    from adq.energy.switching import SwitchingEnergy

__all__ = ["LayerCost", "NetworkCost", "comparison_table", "cost_of"]


@dataclass(frozen=True)
class LayerCost:
    """Cost of a layer, an image.

    Attributes
    ----------
    density : float or None
        Activation density, where training recorded one.
    bits : int
        Precision as trained.
    precision : str
        Weight and activation bits on the tile.
    macs, cycles, toggles : int or float
    compute_pj, load_pj : float
        Of computing, and of loading weights.
    """

    name: str
    density: float | None
    bits: int
    precision: str
    macs: int
    cycles: float
    toggles: float
    compute_pj: float
    load_pj: float

    @property
    def fj_per_mac(self) -> float:
        """Compute energy of a useful MAC, in fJ."""
        return 1000 * self.compute_pj / self.macs


@dataclass(frozen=True)
class NetworkCost:
    """Cost of a network on a tile, an image."""

    name: str
    layers: tuple[LayerCost, ...]

    def total(self, field: str) -> float:
        """Sum over the layers."""
        return sum(getattr(layer, field) for layer in self.layers)

    @property
    def fj_per_mac(self) -> float:
        """Compute energy of a useful MAC, in fJ."""
        return 1000 * self.total("compute_pj") / self.total("macs")

    def to_json(self) -> dict:
        """Layers and totals as numbers."""
        fields = ("macs", "cycles", "toggles", "compute_pj", "load_pj")
        return {
            "name": self.name,
            "layers": [{**asdict(layer), "fj_per_mac": layer.fj_per_mac} for layer in self.layers],
            "total": {f: self.total(f) for f in fields} | {"fj_per_mac": self.fj_per_mac},
        }


def cost_of(
    simulation: dict, energy: "ModelledEnergy | SwitchingEnergy", *, name: str
) -> NetworkCost:
    """Cost of a simulated network, from what ``simulate`` returns."""
    images = simulation["images"]
    layers = []
    for layer, window in zip(simulation["layers"], energy.of_layers(simulation), strict=True):
        toggles = sum(
            counts["toggles"]
            for block, counts in layer["switching"].items()
            if block not in energy.left_out
        )
        layers.append(
            LayerCost(
                name=layer["name"],
                density=layer["density"],
                bits=layer["bits"],
                precision=f"{layer['weight_bits']}x{layer['activation_bits']}",
                macs=layer["macs"],
                cycles=layer["cycles"] / images,
                toggles=toggles / images,
                compute_pj=window.compute / images,
                load_pj=window.load / images,
            )
        )
    return NetworkCost(name=name, layers=tuple(layers))


def comparison_table(
    networks: list[NetworkCost], energy: "ModelledEnergy | SwitchingEnergy"
) -> Table:
    """Layers of each network, its totals, and how many times less the first one takes.

    The first, that is, of those whose layers have the same names: costs of one network at several
    precisions compare, those of different networks do not.
    """
    table = Table(
        title="Cost an image",
        caption=(
            f"Energy: {energy.name}, {energy.node}; without "
            f"{', '.join(energy.left_out)} and wiring between tiles.\n"
            "Simulation by cycles has no glitches: a lower bound.\n"
            "k: bits as trained. kw x kx: weight and activation bits on the tile.\n"
            "pJ and fJ/MAC: computing. load pJ: loading weights. Toggles: of both."
        ),
        caption_justify="left",
    )
    for heading in ("network", "layer"):
        table.add_column(heading, no_wrap=True)
    for heading in ("AD", "k", "kw x kx", "MACs", "cycles", "toggles", "pJ", "load pJ", "fJ/MAC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for network in networks:
        for position, layer in enumerate(network.layers):
            table.add_row(
                "" if position else network.name,
                layer.name,
                "-" if layer.density is None else f"{layer.density:.3f}",
                str(layer.bits),
                layer.precision,
                *_numbers(layer.macs, layer.cycles, layer.toggles),
                f"{layer.compute_pj:,.0f}",
                f"{layer.load_pj:,.0f}",
                f"{layer.fj_per_mac:,.1f}",
            )
        table.add_row(
            "",
            "total",
            *("",) * 3,
            *_numbers(*(network.total(f) for f in ("macs", "cycles", "toggles"))),
            *(f"{network.total(f):,.0f}" for f in ("compute_pj", "load_pj")),
            f"{network.fj_per_mac:,.1f}",
            style="bold",
            end_section=True,
        )
    firsts: dict[tuple[str, ...], NetworkCost] = {}
    for other in networks:
        first = firsts.setdefault(tuple(layer.name for layer in other.layers), other)
        if first is other:
            continue
        ratios = [
            other.total(f) / first.total(f)
            for f in ("macs", "cycles", "toggles", "compute_pj", "load_pj")
        ]
        table.add_row(
            "ratio",
            f"{other.name} / {first.name}",
            *("",) * 3,
            *(f"{ratio:.2f}x" for ratio in [*ratios, other.fj_per_mac / first.fj_per_mac]),
            style="bold",
        )
    return table


def _numbers(*values: float) -> list[str]:
    return [f"{value:,.0f}" for value in values]
