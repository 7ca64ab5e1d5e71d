"""A placed design as a folder of files."""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from adq.files import write_bytes, write_json, write_text
from adq.rtl.parameters import TileParameters
from adq.verif.placement.exchange.constraints import to_sdc
from adq.verif.placement.exchange.def_file import to_def, to_lef
from adq.verif.placement.exchange.spef import to_spef
from adq.verif.placement.placed import PlacedDesign

__all__ = ["placement_summary", "placement_table", "write_design"]


def placement_summary(
    design: PlacedDesign,
    *,
    tile: TileParameters,
    wire_load_ns: float,
    clock: str,
    spent: Mapping[str, float] | None,
) -> dict[str, Any]:
    """Figures of a placed design as numbers.

    Parameters
    ----------
    spent
        Processor seconds and peak memory in MB of mapping and placing; None where the placement was
        read from the cache.
    wire_load_ns
        Longest path of the netlist before placement, by the library's wire load model.
    """
    plan, area = design.placement.floorplan, design.area
    holds = design.holds
    return {
        "tile": asdict(tile),
        "library": design.library.name,
        "library_sha256": design.library.digest,
        "geometry_sha256": plan.geometry.digest,
        "netlist_sha256": design.placement.netlist,
        "options": asdict(design.options),
        "die_um": [plan.width, plan.height],
        "rows": plan.rows,
        "cells": len(design.full.instances),
        "cell_area_um2": area,
        "utilization": sum(area.values()) / plan.area,
        "mean_wire_ff": design.mean_wire,
        "longest_path_wire_load_ns": wire_load_ns,
        "longest_path_ns": design.timing.delay,
        "worst_hold_slack_ns": holds[0].slack if holds else None,
        "hold_violations": sum(hold.slack < 0 for hold in holds),
        "clock": {
            "port": clock,
            "buffers": design.clock.buffers,
            "insertion_delay_ns": design.clock.insertion_delay,
            "skew_ns": design.clock.skew,
            "wire_um": design.clock.wire,
            "fj_per_tick": sum(design.clock.energies.values()),
        },
        "spent": spent,
    }


def placement_table(summary: dict[str, Any]) -> Table:
    """The summary for people."""
    options, clock = summary["options"], summary["clock"]
    width, height = summary["die_um"]
    period = options["period"]
    met = "met" if summary["longest_path_ns"] <= period else "not met"
    hold = summary["worst_hold_slack_ns"]
    table = Table(title=f"Placed in {summary['library']}, seed {options['seed']}")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in (
        ("die", f"{width:.1f} x {height:.1f} um, {summary['rows']} rows"),
        ("cells", f"{summary['cells']:,}"),
        ("cell area", f"{sum(summary['cell_area_um2'].values()):,.0f} um2"),
        ("utilization", f"{summary['utilization']:.1%}"),
        ("wire of a net, mean", f"{summary['mean_wire_ff']:.2f} fF"),
        ("longest path, wire load model", f"{summary['longest_path_wire_load_ns']:.3f} ns"),
        ("longest path, placed", f"{summary['longest_path_ns']:.3f} ns"),
        (f"period of {period:g} ns", met),
        ("worst hold slack", "none" if hold is None else f"{hold:+.3f} ns"),
        ("hold violations", f"{summary['hold_violations']:,}"),
        ("clock tree, buffers", f"{clock['buffers']:,}"),
        ("insertion delay, skew", f"{clock['insertion_delay_ns']:.3f}, {clock['skew_ns']:.3f} ns"),
        ("clock tree, if no gate is shut", f"{clock['fj_per_tick']:.0f} fJ a cycle"),
    ):
        table.add_row(name, value)
    return table


def write_design(
    design: PlacedDesign, summary: dict[str, Any], folder: Path, *, pictures: tuple[str, ...]
) -> list[Path]:
    """Write the design for other tools, and its pictures; each file whole or not at all.

    Parameters
    ----------
    pictures
        Endings of the pictures, ``svg`` or ``png``.
    """
    netlist, library, placement = design.full, design.library, design.placement
    macros = [macro.instance for macro in placement.floorplan.macros]
    clock = summary["clock"]
    texts = {
        f"{netlist.name}.v": netlist.to_verilog(macros),
        f"{netlist.name}.def": to_def(netlist, library, placement),
        f"{netlist.name}.spef": to_spef(netlist, library, placement),
        f"{netlist.name}.sdc": to_sdc(
            netlist,
            library,
            clock=clock["port"],
            period=design.options.period,
            port_delay=clock["insertion_delay_ns"],
        ),
        "cells.lef": to_lef(netlist, library, placement),
    }
    drawn = _drawn(design, pictures)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    for name, data in drawn.items():
        write_bytes(folder / name, data)
    write_json(folder / "placement.json", summary)
    return [folder / name for name in (*texts, *drawn, "placement.json")]


def _drawn(design: PlacedDesign, endings: tuple[str, ...]) -> dict[str, bytes]:
    if not endings:
        return {}
    from adq.layout.pictures import draw_blocks, save_picture

    found = {}
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        figure = draw_blocks(design)
        for ending in endings:
            path = scratch / f"die.{ending}"
            save_picture(figure, path)
            found[path.name] = path.read_bytes()
    return found
