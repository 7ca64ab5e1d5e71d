"""`adq synth`: area, clock and longest paths of a tile in the cells of a library."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adq.cli.synthesis_options import OrderPinsOption, PeriodOption
from adq.cli.tile_options import DEFAULT_TILE, ColumnsOption, RowsOption, TileOption, read_tile

if TYPE_CHECKING:
    from rich.table import Table

    from adq.rtl.parameters import TileParameters
    from adq.verif.synthesis.paths import Path as TimingPath
    from adq.verif.synthesis.synthesis import Synthesis

CACHE = Path("build/synthesis")
"""Cache folder of mapped netlists, addressed by content."""


def synth(
    liberty: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            envvar="ADQ_LIBERTY",
            help="Liberty file of the cell library; may be gzipped.",
        ),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    with_buffer: Annotated[
        bool,
        typer.Option(
            "--buffer",
            help="Include the partial sum buffer, made of flip-flops. By default it is left out, "
            "as it would be a memory.",
        ),
    ] = False,
    latches: Annotated[
        bool, typer.Option("--latches", help="Hold weights in latches, not in flip-flops.")
    ] = False,
    order_pins: OrderPinsOption = False,
    part: Annotated[
        str,
        typer.Option(metavar="PATH", help="Map only this submodule, such as shift_add.fuser."),
    ] = "",
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Map a whole platform in place of a tile, part by part; its memories are told by "
            "CACTI's table. Takes minutes.",
        ),
    ] = "",
    period: PeriodOption = 2.0,
    paths: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of longest paths to print.")
    ] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of synth.json and netlist.v.")
    ] = Path("build/synth"),
) -> None:
    """Map a tile, or a platform, to the cells of a library and show its area, clock and longest
    paths.

    Yosys and ABC map the RTL; buffers and drive strengths are then chosen for the clock period.
    Delays are those of static timing before placement, with the library's wire load model and an
    ideal clock.
    """
    from dataclasses import replace

    from adq.cli.platform_synthesis import synthesize_and_show
    from adq.console import Console, print_whole
    from adq.files import write_json, write_text
    from adq.rtl.tile import Tile
    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.mapping import SynthesisError
    from adq.verif.synthesis.paths import longest_paths, worst_by_block
    from adq.verif.synthesis.synthesis import synthesize

    if platform:
        others = {
            "--tile": tile != DEFAULT_TILE,
            "--rows": rows is not None,
            "--columns": columns is not None,
            "--buffer": with_buffer,
            "--latches": latches,
            "--order-pins": order_pins,
            "--part": bool(part),
            "--paths": paths != 1,
        }
        if given := [name for name, is_given in others.items() if is_given]:
            raise SynthesisError(f"--platform takes no {', '.join(given)}: leave it out")
        synthesize_and_show(platform, liberty, period, CACHE, out)
        return
    parameters = read_tile(tile, rows, columns)
    if not with_buffer:
        parameters = replace(parameters, row_blocks=1, partial_sums=0)
    console = Console(markup=False)
    library = Library.read(liberty)
    with console.status("mapping to cells"):
        synthesis = synthesize(
            Tile(parameters),
            library,
            name="tile",
            part=part,
            latches=latches,
            order_pins=order_pins,
            period=period,
            cache=CACHE,
        )
        longest = longest_paths(synthesis.timing, paths)
        worst = worst_by_block(synthesis.timing)
    for path in longest:
        console.print(str(path), highlight=False, soft_wrap=True)
    print_whole(_table(synthesis, worst), console)
    found = _figures(synthesis, parameters, part, period, longest, worst)
    found["order_pins"] = order_pins
    console.print(
        f"{library.name}, {library.voltage} V, {library.temperature:g} C, wire load "
        f"{library.wire_load.name or 'none'}, clock ideal\n"
        f"{found['cells']:,} cells, {found['area_um2']:,.0f} um2, "
        f"{found['um2_per_bit_cell']:.2f} um2 a bit cell, {found['longest_path_ns']:.3f} ns, "
        f"{found['clock_mhz']:.0f} MHz",
        highlight=False,
    )
    write_text(out / "netlist.v", synthesis.netlist.to_verilog())
    write_json(out / "synth.json", found)
    console.print(f"Written: {out / 'synth.json'}", highlight=False)


def _table(synthesis: "Synthesis", worst: "dict[str, TimingPath]") -> "Table":
    """Return one row per block, the largest first."""
    from rich.table import Table

    table = Table("block", title="Area, clock gates, and the longest path that ends in the block")
    for heading in ("um2", "share", "clock gates", "gated", "ungated", "ns"):
        table.add_column(heading, justify="right")
    table.add_column("from")
    area, gating = synthesis.area, synthesis.clock_gating
    total = sum(area.values())
    for block in sorted(area | worst, key=lambda block: -area.get(block, 0)):
        size, found, path = area.get(block), gating.get(block), worst.get(block)
        counts = (found.clock_gates, found.gated, found.ungated) if found else ()
        table.add_row(
            block,
            "" if size is None else f"{size:,.0f}",
            "" if size is None else f"{size / total:.1%}",
            *(f"{count:,}" for count in counts),
            *([] if found else [""] * 3),
            f"{path.delay:.3f}" if path else "",
            path.start if path else "",
        )
    return table


def _figures(
    synthesis: "Synthesis",
    parameters: "TileParameters",
    part: str,
    period: float,
    longest: "list[TimingPath]",
    worst: "dict[str, TimingPath]",
) -> dict[str, Any]:
    """Return everything that is shown, as JSON values."""
    from dataclasses import asdict

    library, area, gating = synthesis.library, synthesis.area, synthesis.clock_gating
    total, delay = sum(area.values()), synthesis.timing.delay
    return {
        "tile": asdict(parameters),
        "part": part,
        "latches": synthesis.latches,
        "library": library.describe(),
        "period_ns": period,
        "cells": len(synthesis.netlist.instances),
        "area_um2": total,
        "um2_per_bit_cell": total / (parameters.rows * parameters.columns),
        "longest_path_ns": delay,
        "clock_mhz": 1000 / delay,
        "blocks": {
            block: {
                "area_um2": area.get(block, 0.0),
                "clock_gates": gating[block].clock_gates if block in gating else 0,
                "gated_flip_flops": gating[block].gated if block in gating else 0,
                "ungated_flip_flops": gating[block].ungated if block in gating else 0,
                "longest_path_ns": worst[block].delay if block in worst else None,
            }
            for block in sorted(area | worst)
        },
        "paths": [asdict(path) for path in longest],
        "cell_counts": synthesis.cells,
    }
