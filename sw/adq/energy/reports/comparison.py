"""The table of a simulated network: what each layer cost."""

from dataclasses import asdict, dataclass

from rich.table import Table

from adq.energy.gate_level.placed_figures import placed_notes
from adq.energy.glitches import glitch_notes
from adq.energy.simulated import OF_NETWORK, NetworkEnergies
from adq.golden.files.json_reader import JsonObject
from adq.verif.simulation.network_run import NetworkRun

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
        Of the switching that was counted: computing, and loading weights.
    predicted_pj : float
        Of both together, from the operands alone.
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
    predicted_pj: float

    @property
    def difference(self) -> float:
        """Predicted energy over counted energy, less one."""
        return self.predicted_pj / (self.compute_pj + self.load_pj) - 1

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
        return float(sum(getattr(layer, field) for layer in self.layers))

    @property
    def fj_per_mac(self) -> float:
        """Compute energy of a useful MAC, in fJ."""
        return 1000 * self.total("compute_pj") / self.total("macs")

    def to_json(self) -> JsonObject:
        """Return layers and totals as numbers."""
        fields = ("macs", "cycles", "toggles", "compute_pj", "load_pj", "predicted_pj")
        return {
            "name": self.name,
            "layers": [
                {
                    **asdict(layer),
                    "fj_per_mac": layer.fj_per_mac,
                    "difference": layer.difference,
                }
                for layer in self.layers
            ],
            "total": {f: self.total(f) for f in fields} | {"fj_per_mac": self.fj_per_mac},
        }


def cost_of(run: NetworkRun, energies: NetworkEnergies, *, name: str) -> NetworkCost:
    """Return the cost of a simulated network."""
    images, left_out = run.images, energies.left_out
    layers = []
    for energy in energies.layers:
        layer, work = energy.run, energy.run.work
        toggles = sum(
            count for each, count in layer.counts.toggles.items() if each.block not in left_out
        )
        layers.append(
            LayerCost(
                name=layer.name,
                density=work.layer.density,
                bits=work.layer.weight_bits,
                precision=f"{work.layer.hardware_weight_bits}x{work.format.bits}",
                macs=work.macs,
                cycles=layer.cycles / images,
                toggles=toggles / images,
                compute_pj=energy.counted.compute / images / 1000,
                load_pj=energy.counted.load / images / 1000,
                predicted_pj=energy.predicted_total / images / 1000,
            )
        )
    return NetworkCost(name=name, layers=tuple(layers))


def comparison_table(networks: list[NetworkCost], energies: NetworkEnergies) -> Table:
    """Return the layers of each network, its totals, and how many times less the first one takes.

    The first, that is, of those whose layers have the same names: costs of one network at several
    precisions compare, those of different networks do not.
    """
    *without, last = energies.without
    lines = [
        f"Energy: {energies.name}, {energies.model.conditions}; without "
        f"{', '.join(without)}{' and ' * bool(without)}{last}.",
        *energies.labels,
        *glitch_notes(energies.model.library, energies.model.tile),
        *placed_notes(energies.model.library, energies.model.tile),
        "k: bits as trained. kw x kx: weight and activation bits on the tile.",
        "pJ and fJ/MAC: computing. load pJ: loading weights. Toggles: of both.",
        f"predicted: both, from the operands alone; more than {energies.tolerance:.1%} of a "
        f"layer and {OF_NETWORK:.0%} of the network from what was counted is a failure.",
    ]
    table = Table(title="Cost an image", caption="\n".join(lines), caption_justify="left")
    for heading in ("network", "layer"):
        table.add_column(heading, no_wrap=True)
    headings = ("AD", "k", "kw x kx", "MACs", "cycles", "toggles", "pJ", "load pJ", "fJ/MAC")
    for heading in (*headings, "predicted", ""):
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
                f"{layer.predicted_pj:,.0f}",
                f"{layer.difference:+.1%}",
                style="red" if _is_beyond(layer, network, energies.tolerance) else None,
            )
        table.add_row(
            "",
            "total",
            *("",) * 3,
            *_numbers(*(network.total(f) for f in ("macs", "cycles", "toggles"))),
            *(f"{network.total(f):,.0f}" for f in ("compute_pj", "load_pj")),
            f"{network.fj_per_mac:,.1f}",
            f"{network.total('predicted_pj'):,.0f}",
            f"{_difference(network):+.1%}",
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
            f"{other.total('predicted_pj') / first.total('predicted_pj'):.2f}x",
            "",
            style="bold",
        )
    return table


def _is_beyond(layer: LayerCost, network: NetworkCost, tolerance: float) -> bool:
    """Return whether a layer's prediction is further from what was counted than a failure takes."""
    counted = layer.compute_pj + layer.load_pj
    total = sum(each.compute_pj + each.load_pj for each in network.layers)
    return abs(layer.difference) * counted > max(tolerance * counted, OF_NETWORK * total)


def _difference(network: NetworkCost) -> float:
    counted = network.total("compute_pj") + network.total("load_pj")
    return network.total("predicted_pj") / counted - 1


def _numbers(*values: float) -> list[str]:
    return [f"{value:,.0f}" for value in values]
