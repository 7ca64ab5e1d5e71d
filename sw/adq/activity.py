"""Switching of networks on the tile's RTL, window by window, as tables and as SAIF."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from adq.console import Console
from adq.energy.coefficients import coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.simulated import LayerEnergies, NetworkEnergies, energies_of
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.network_run import NetworkRun
from adq.verif.simulation.network_simulation import simulate
from adq.verif.simulation.switching.net_counters import INPUTS
from adq.verif.simulation.switching.windows import PERIOD

__all__ = ["SHOWN", "MeasuredActivity", "activity_table", "measure_activity"]

SHOWN = ("reset", "load", "compute")


@dataclass(frozen=True)
class MeasuredActivity:
    """A network with counts of every net.

    Attributes
    ----------
    run : NetworkRun
    energies : NetworkEnergies
    seconds : float
        Of wall clock.
    """

    run: NetworkRun
    energies: NetworkEnergies
    seconds: float

    @property
    def annotated(self) -> float:
        """Share of the design's named nets in the SAIF files."""
        counted = self.run.windows or {"named_nets": 1, "annotated_nets": 0}
        return float(counted["annotated_nets"] / counted["named_nets"])

    @property
    def agrees(self) -> bool:
        """Return whether no integer differs, no net is missing, and each layer's predicted energy
        is within the tolerance of the counted one.
        """
        return self.run.integers_agree and self.annotated == 1 and self.energies.agrees

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return self.run.to_json() | {
            "seconds": self.seconds,
            "annotated": self.annotated,
            "agrees": self.agrees,
            "problems": self.energies.problems,
            "energy": [
                {
                    "name": layer.run.name,
                    "compute_pj": layer.counted.compute / 1000,
                    "load_pj": layer.counted.load / 1000,
                    "predicted_pj": layer.predicted_total / 1000,
                    "difference": layer.difference,
                }
                for layer in self.energies.layers
            ],
        }


def measure_activity(
    artifact: Path,
    tile: TileParameters,
    images: int | None,
    directory: Path,
    cache: Path,
    console: Console,
    library: str = LIBRARY,
) -> MeasuredActivity:
    """Simulate an artifact with every net counted; see ``simulate``. Energies are by a library's
    coefficients.
    """
    model = coefficients_for(library, tile)
    started = time.monotonic()
    with console.status(f"{escape(str(artifact))}: starting") as status:
        read = read_artifact(artifact)
        run = simulate(
            artifact,
            read,
            tile,
            images=len(read.samples) if images is None else images,
            directory=directory,
            cache=cache,
            windows=True,
            progress=lambda stage: status.update(f"{escape(str(artifact))}: {stage}"),
        )
    energies = energies_of(run, model)
    return MeasuredActivity(run, energies, round(time.monotonic() - started, 1))


def windows_of(run: NetworkRun) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield layer, name and sums of each window with a file."""
    yield "", "reset", _counted(run)["reset"]
    for layer in run.layers:
        windows = layer.windows or {}
        for window in SHOWN:
            if window in windows:
                yield layer.name, window, windows[window]


def _counted(run: NetworkRun) -> Mapping[str, Any]:
    """Return the sums of a run whose nets were all counted."""
    if run.windows is None:
        raise ValueError(f"the nets of {run.artifact} were not counted")
    return run.windows


def activity_table(measured: MeasuredActivity) -> Table:
    """Return a table of the toggles of each block and layer by window, and of each layer's
    energy.
    """
    run = measured.run
    energies = {layer.run.name: layer for layer in measured.energies.layers}
    blocks = [
        block
        for block in _counted(run)["reset"]["blocks"]
        if any(window["blocks"][block]["toggles"] for _, _, window in windows_of(run))
    ]
    nets = _counted(run)
    plural = "s" if run.images > 1 else ""
    table = Table(
        title=f"{run.artifact}: thousands of toggles, {run.images} image{plural}",
        caption=(
            f"{nets['annotated_nets']:,} of {nets['named_nets']:,} named nets in the SAIF files, "
            f"{measured.annotated:.0%}. Inputs belong to what drives the tile.\n"
            f"clock: thousands of register bits clocked. Cycles of {PERIOD} ns, with no glitches: "
            "a lower bound.\n"
            f"pJ: {measured.energies.name}, {measured.energies.model.conditions}, of all images; "
            "predicted from the operands alone, computing and loading together."
        ),
        caption_justify="left",
    )
    for heading in ("layer", "window"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cycles", *blocks, "clock", "all", "pJ", "predicted"):
        table.add_column(heading, justify="right")
    before = None
    for layer, window, sums in windows_of(run):
        toggles = [sums["blocks"][block]["toggles"] for block in blocks]
        clocked = sum(counts["clocked"] for counts in sums["blocks"].values())
        inside = sum(
            counts["toggles"] for block, counts in sums["blocks"].items() if block != INPUTS
        )
        table.add_row(
            "" if layer == before else layer,
            window,
            f"{sums['cycles']:,}",
            *(f"{count / 1000:,.1f}" for count in (*toggles, clocked, inside)),
            *_energy(energies.get(layer), window),
        )
        before = layer
    return table


def _energy(layer: LayerEnergies | None, window: str) -> tuple[str, str]:
    """Return the counted energy of a window in pJ and, for the last window, the relative error of
    the prediction.
    """
    if layer is None or window not in ("load", "compute"):
        return "", ""
    if window == "load":
        return f"{layer.counted.load / 1000:,.0f}", ""
    return f"{layer.counted.compute / 1000:,.0f}", f"{layer.difference:+.1%}"
