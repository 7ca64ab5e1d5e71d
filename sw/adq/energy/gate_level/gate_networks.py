"""Networks at gate level, every job of an image simulated, beside what the model tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from adq.energy.coefficients import Coefficients
from adq.energy.gate_level.layer_cases import LayerCase
from adq.verif.operands.features import FEATURES

__all__ = ["GateNetwork", "gate_network", "gate_table"]


@dataclass(frozen=True)
class GateLayer:
    """A layer of some images.

    Attributes
    ----------
    compute_pj, load_pj : at gate level
    model_compute_pj, model_load_pj : by the model, or None without one
    """

    name: str
    weight_bits: int
    activation_bits: int
    cycles: int
    compute_pj: float
    load_pj: float
    model_compute_pj: float | None
    model_load_pj: float | None


@dataclass(frozen=True)
class GateNetwork:
    """A network's layers, and their sums."""

    name: str
    layers: Sequence[GateLayer]

    def total(self, quantity: str) -> Any:
        """Sum of an attribute over the layers; None where a layer has none."""
        values = [getattr(layer, quantity) for layer in self.layers]
        return None if None in values else sum(values)


def gate_network(
    path: Path, cases: Sequence[LayerCase], found: Mapping[str, Any], model: Coefficients | None
) -> GateNetwork:
    """Put together the runs of an artifact's layers.

    The model is asked for the jobs as they ran, one row block each: a tile with a partial sum
    buffer clocks other registers for them.

    Parameters
    ----------
    cases, found
        Cases of ``layer_cases.network_cases``, perhaps of other artifacts, too, and
        what :func:`adq.energy.gate_level.characterization.characterize` gives of them.
    """
    layers = []
    for layer in dict.fromkeys(case.layer for case in cases if case.artifact == str(path)):
        runs = [run for run in found["runs"] if run["weights"] == f"real:{path}:{layer}"]
        weight_bits, activation_bits = runs[0]["weight_bits"], runs[0]["activation_bits"]
        features = {name: sum(run["features"][name] for run in runs) for name in FEATURES}
        cycles = {window: _cycles(runs, window) for window in ("compute", "load")}
        modelled: tuple[float | None, float | None] = None, None
        if model is not None:
            compute, load = model.in_turns(
                features,
                weight_bits,
                compute_cycles=cycles["compute"],
                load_cycles=cycles["load"],
            )
            modelled = compute / 1000, load / 1000
        layers.append(
            GateLayer(
                layer,
                weight_bits,
                activation_bits,
                sum(cycles.values()),
                _picojoules(runs, "compute"),
                _picojoules(runs, "load"),
                *modelled,
            )
        )
    return GateNetwork(str(path), layers)


def _cycles(runs: Sequence[Mapping[str, Any]], window: str) -> int:
    return sum(run["windows"][window]["cycles"] for run in runs if window in run["windows"])


def _picojoules(runs: Sequence[Mapping[str, Any]], window: str) -> float:
    blocks = [run["windows"][window]["blocks"] for run in runs if window in run["windows"]]
    return sum(sum(parts.values()) for run in blocks for parts in run.values()) / 1000


def gate_table(
    networks: Sequence[GateNetwork],
    found: Mapping[str, Any],
    images: int,
    model: Coefficients | None,
) -> Table:
    """Return the energy of networks at gate level and by the model, and of the last to the
    first.
    """
    library, tile = found["library"], found["tile"]
    plural = "s" if images > 1 else ""
    table = Table(
        title=f"{tile['rows']}x{tile['columns']} in {library['name']}: {images} image{plural}",
        caption=(
            f"Gate level, {library['voltage']} V, {library['temperature']:g} C, every cycle "
            f"simulated, every result compared; no glitches: a lower bound.\nmodel: {_told(model)}"
        ),
        caption_justify="left",
    )
    for heading in ("layer", "kw x kx", "cycles", "pJ", "model", "", "load pJ", "model", ""):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for network in networks:
        table.add_section()
        table.add_row(network.name, style="bold")
        for layer in network.layers:
            bits = f"{layer.weight_bits}x{layer.activation_bits}"
            table.add_row(f"  {layer.name}", bits, f"{layer.cycles:,}", *_energies(vars(layer)))
        sums = {name: network.total(name) for name in vars(network.layers[0]) if "pj" in name}
        table.add_row("  total", "", f"{network.total('cycles'):,}", *_energies(sums))
    if len(networks) > 1:
        table.add_section()
        table.add_row("last / first", "", *_ratios(networks[-1], networks[0]))
    return table


def _told(model: Coefficients | None) -> str:
    if model is None:
        return "none of this library: fit one to its characterization"
    scaled = f", an estimate from tiles of {model.scaled_from}" if model.scaled_from else ""
    return f"{model.library}{scaled}"


def _energies(layer: Mapping[str, Any]) -> list[str]:
    row = []
    for name in ("compute_pj", "load_pj"):
        energy, modelled = layer[name], layer[f"model_{name}"]
        row.append(f"{energy:,.1f}")
        row += (
            ["-", ""]
            if modelled is None
            else [f"{modelled:,.1f}", f"{modelled / energy - 1:+.1%}" if energy else ""]
        )
    return row


def _ratios(numerator: GateNetwork, denominator: GateNetwork) -> list[str]:
    row = []
    for name in ("cycles", "compute_pj", "model_compute_pj", "load_pj", "model_load_pj"):
        above, below = numerator.total(name), denominator.total(name)
        row.append("-" if above is None or not below else f"{above / below:.2f}x")
        if name.startswith("model"):
            row.append("")
    return row
