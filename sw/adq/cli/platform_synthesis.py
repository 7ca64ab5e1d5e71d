"""Area and clock of a platform, for `adq synth --platform`: a table and results."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.hierarchy.platform import Memory, PlatformSynthesis

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
        As of :func:`adq.verif.synthesis.hierarchy.platform.synthesize_platform`.
    """
    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.hierarchy.platform import synthesize_platform

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    library = Library.read(liberty)
    console = Console(markup=False)
    with console.status("mapping the platform to cells") as status:
        found = synthesize_platform(
            parameters,
            library,
            period=period,
            cache=cache,
            progress=lambda step: status.update(f"{step} ..."),
        )
    figures = _figures(found, library, period)
    p = parameters
    title = f"Platform of {p.tiles} tiles of {p.rows} x {p.columns}: area and paths"
    print_whole(_table(title, figures), console)
    path = found.logic.longest_path
    console.print(
        f"{library.name}, {library.voltage} V, {library.temperature:g} C, wire load "
        f"{library.wire_load.name or 'none'}, clock ideal\n"
        f"longest path {path.delay:.3f} ns, {figures['clock_mhz']:.0f} MHz: "
        f"from {path.start} to {path.end}",
        highlight=False,
        soft_wrap=True,
    )
    write_json(out / "synth.json", {**figures, "path": asdict(path)})
    console.print(f"Written: {out / 'synth.json'}", highlight=False)


def _figures(found: "PlatformSynthesis", library: "Library", period: float) -> dict[str, Any]:
    """Return everything that is shown, as JSON values."""
    logic = found.logic
    area, worst = logic.area, logic.paths
    return {
        "platform": asdict(found.parameters),
        "library": library.describe(),
        "period_ns": period,
        "tiles": found.parameters.tiles,
        "cells": logic.cells,
        "longest_path_ns": logic.longest_path.delay,
        "clock_mhz": 1000 / logic.longest_path.delay,
        "blocks": {
            block: {
                "area_um2": area[block],
                "flip_flops": logic.flip_flops.get(block, 0),
                "longest_path_ns": worst[block].delay if block in worst else None,
            }
            for block in sorted(area, key=lambda block: -area[block])
        },
        "memories": _memories(found.memories, library.flip_flops()[0].area),
    }


def _memories(memories: "tuple[Memory, ...]", flip_flop: float) -> dict[str, Any]:
    """Return bits and area of the memories of each block: of CACTI's nearest, or flip-flops."""
    from adq.energy.memory.memories import nearest_sram
    from adq.verif.synthesis.hierarchy.platform import BLOCKS

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
