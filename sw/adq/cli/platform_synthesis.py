"""Area and clock of a platform, for `adq synth --platform`: a table and results."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from adq.verif.synthesis.platform import Memory, PlatformSynthesis

__all__ = ["synthesize_and_show"]

SMALL = 64
"""Words below which a memory is taken for flip-flops: CACTI's table has none as small."""


def synthesize_and_show(
    platform: str, liberty: Path, period: float, cache: Path, out: Path
) -> None:
    """Map a platform, print a table of its blocks, and write ``synth.json``.

    Raises
    ------
    adq.rtl.parameters.ParameterError
        The platform's file has an error.
    LibertyError, SynthesisError, TimingError
        As of :func:`adq.verif.synthesis.platform.synthesize_platform`.
    """
    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.paths import longest_paths
    from adq.verif.synthesis.platform import synthesize_platform

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    library = Library.read(liberty)
    console = Console(markup=False)
    with console.status("mapping the platform to cells"):
        found = synthesize_platform(parameters, library, period=period, cache=cache)
        (path,) = longest_paths(found.logic.timing, 1)
    figures = _figures(found, period)
    p = parameters
    title = f"Platform of {p.tiles} tiles of {p.rows} x {p.columns}: area and paths"
    print_whole(_table(title, figures), console)
    logic, tile = figures["logic"], figures["tile"]
    console.print(
        f"{library.name}, {library.voltage} V, {library.temperature:g} C, wire load "
        f"{library.wire_load.name or 'none'}, clock ideal\n"
        f"logic {logic['longest_path_ns']:.3f} ns, tile {tile['longest_path_ns']:.3f} ns: "
        f"{figures['clock_mhz']:.0f} MHz\n"
        f"longest path of the logic: from {path.start} to {path.end}",
        highlight=False,
        soft_wrap=True,
    )
    write_json(out / "synth.json", {**figures, "path": asdict(path)})
    console.print(f"Written: {out / 'synth.json'}", highlight=False)


def _figures(found: "PlatformSynthesis", period: float) -> dict[str, Any]:
    """Return everything that is shown, as JSON values."""
    from adq.verif.synthesis.paths import worst_by_block

    logic, tile, library = found.logic, found.tile, found.logic.library
    area, gating, worst = logic.area, logic.clock_gating, worst_by_block(logic.timing)
    delays = logic.timing.delay, tile.timing.delay
    return {
        "platform": asdict(found.parameters),
        "library": library.describe(),
        "period_ns": period,
        "logic": {
            "area_um2": sum(area.values()),
            "cells": len(logic.netlist.instances),
            "longest_path_ns": delays[0],
        },
        "tiles": found.parameters.tiles,
        "tile": {"area_um2": sum(tile.area.values()), "longest_path_ns": delays[1]},
        "clock_mhz": 1000 / max(delays),
        "blocks": {
            block: {
                "area_um2": area[block],
                "flip_flops": gating[block].gated + gating[block].ungated if block in gating else 0,
                "longest_path_ns": worst[block].delay if block in worst else None,
            }
            for block in sorted(area, key=lambda block: -area[block])
        },
        "memories": _memories(found.memories, library.flip_flops()[0].area),
    }


def _memories(memories: "tuple[Memory, ...]", flip_flop: float) -> dict[str, Any]:
    """Return bits and area of the memories of each block: of CACTI's nearest, or flip-flops."""
    from adq.energy.memory.memories import nearest_sram
    from adq.verif.synthesis.platform import BLOCKS

    found: dict[str, Any] = {}
    for each in memories:
        block = next(name for name, start in BLOCKS.items() if re.match(start, each.path))
        row = found.setdefault(block, {"memories": 0, "bits": 0, "area_um2": 0.0})
        if each.words < SMALL:
            area = each.bits * flip_flop
        else:
            near = nearest_sram(each.words, ports=each.ports, width=each.width)
            area = each.bits * near.um2_per_bit
        row["memories"] += 1
        row["bits"] += each.bits
        row["area_um2"] += area
    return found


def _table(title: str, figures: dict[str, Any]) -> "Table":
    from rich.table import Table

    from adq.signoff.sections.platform_sections import AREA_HEADINGS, area_rows

    table = Table(title=title)
    for place, heading in enumerate(AREA_HEADINGS):
        table.add_column(heading, justify="right" if place else "left")
    for rows in area_rows(figures):
        table.add_section()
        for row in rows:
            table.add_row(*row)
    return table
