"""Switching of networks on the tile's RTL, window by window, for people and as SAIF."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from adq.console import Console
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.net_counters import INPUTS
from adq.verif.simulation.network_run import simulate
from adq.verif.simulation.windows import PERIOD

__all__ = ["SHOWN", "activity_table", "measure_activity"]

SHOWN = ("reset", "load", "compute")


def measure_activity(
    artifact: Path,
    tile: TileParameters,
    images: int | None,
    directory: Path,
    cache: Path,
    console: Console,
) -> dict[str, Any]:
    """Run an artifact with every net counted; see ``simulate``.

    Returns
    -------
    dict
        What the simulation gives, with ``seconds``, ``annotated`` (share of the design's named
        nets in the SAIF files) and ``agrees``: no integer differs.
    """
    started = time.monotonic()
    with console.status(f"{escape(str(artifact))}: starting") as status:
        run = simulate(
            artifact,
            tile,
            images=images,
            directory=directory,
            cache=cache,
            windows=True,
            progress=lambda stage: status.update(f"{escape(str(artifact))}: {stage}"),
        )
    run["seconds"] = round(time.monotonic() - started, 1)
    run["agrees"] = not (run["failure"] or run["mismatches"] or run["classes_that_differ"])
    counted = run.get("windows", {"named_nets": 1, "annotated_nets": 0})
    run["annotated"] = counted["annotated_nets"] / counted["named_nets"]
    return run


def windows_of(run: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Layer, name and sums of every window with a file."""
    yield "", "reset", run["windows"]["reset"]
    for layer in run["layers"]:
        for window in SHOWN:
            if window in layer["windows"]:
                yield layer["name"], window, layer["windows"][window]


def activity_table(run: dict[str, Any]) -> Table:
    """Toggles of each block and layer, by window."""
    blocks = [
        block
        for block in run["windows"]["reset"]["blocks"]
        if any(window["blocks"][block]["toggles"] for _, _, window in windows_of(run))
    ]
    nets = run["windows"]
    plural = "s" if run["images"] > 1 else ""
    table = Table(
        title=f"{run['artifact']}: thousands of toggles, {run['images']} image{plural}",
        caption=(
            f"{nets['annotated_nets']:,} of {nets['named_nets']:,} named nets in the SAIF files, "
            f"{run['annotated']:.0%}. Inputs belong to what drives the tile.\n"
            f"clock: thousands of register bits clocked. Cycles of {PERIOD} ns, with no glitches: "
            "a lower bound."
        ),
        caption_justify="left",
    )
    for heading in ("layer", "window"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cycles", *blocks, "clock", "all"):
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
        )
        before = layer
    return table
