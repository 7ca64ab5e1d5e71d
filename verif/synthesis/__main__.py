"""Area and longest paths of a tile, or of a part of it, in the cells of a library."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adq.rtl.parameters import ParameterError, TileParameters
from adq.rtl.tile import Tile
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.synthesis.mapping import SynthesisError
from adq.verif.synthesis.paths import longest_paths, worst_by_block
from adq.verif.synthesis.synthesis import PERIOD, Synthesis, synthesize
from adq.verif.synthesis.timing import TimingError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adq.verif.synthesis", description=__doc__)
    parser.add_argument(
        "--liberty",
        type=Path,
        default=os.environ.get("ADQ_LIBERTY"),
        help="liberty file, gzipped or not (default: the environment's ADQ_LIBERTY)",
    )
    parser.add_argument("--tile", type=Path, help="TOML file of the tile")
    sizes = parser.add_argument_group("sizes, in the place of those of a file")
    for name in ("rows", "columns", "partial-sums", "row-blocks"):
        sizes.add_argument(f"--{name}", type=int)
    parser.add_argument("--part", default="", help="a submodule, as shift_add.accumulator_16")
    parser.add_argument("--paths", type=int, default=1, help="longest paths to show")
    parser.add_argument("--period", type=float, default=PERIOD, help="ns to size cells for")
    parser.add_argument("--cache", type=Path, default=Path("build/synthesis"))
    return parser.parse_args()


def _parameters(arguments: argparse.Namespace) -> TileParameters:
    if arguments.tile:
        return TileParameters.from_toml(arguments.tile)
    sizes = {"partial_sums": 0, "row_blocks": 1}
    for name in ("rows", "columns", "partial_sums", "row_blocks"):
        if getattr(arguments, name) is not None:
            sizes[name] = getattr(arguments, name)
    return TileParameters(**sizes)


def _table(synthesis: Synthesis) -> Table:
    table = Table("block", title="Area, clock gates, and the longest path that ends in the block")
    for heading in ("um2", "share", "clock gates", "gated", "ungated", "ns"):
        table.add_column(heading, justify="right")
    table.add_column("from")
    area, gating = synthesis.area, synthesis.clock_gating
    worst = worst_by_block(synthesis.timing)
    for block in sorted(area | worst, key=lambda block: -area.get(block, 0)):
        found, path = gating.get(block), worst.get(block)
        table.add_row(
            block,
            f"{area[block]:,.0f}" if block in area else "",
            f"{area[block] / sum(area.values()):.1%}" if block in area else "",
            *(
                f"{getattr(found, count):,}" if found else ""
                for count in ("clock_gates", "gated", "ungated")
            ),
            f"{path.delay:.3f}" if path else "",
            path.start if path else "",
        )
    return table


def _main():
    arguments = _arguments()
    parameters = _parameters(arguments)
    library = Library.read(arguments.liberty)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with console.status("mapping to cells"):
        synthesis = synthesize(
            Tile(parameters),
            library,
            name="tile",
            part=arguments.part,
            period=arguments.period,
            cache=arguments.cache,
        )
    for path in longest_paths(synthesis.timing, arguments.paths):
        print(path)
    console.print(_table(synthesis))
    area, delay = sum(synthesis.area.values()), synthesis.timing.delay
    print(
        f"{library.name}, {library.voltage} V, {library.temperature:g} C, wire load "
        f"{library.wire_load.name or 'none'}, clock ideal\n"
        f"{len(synthesis.netlist.instances):,} cells, {area:,.0f} um2, "
        f"{area / (parameters.rows * parameters.columns):.2f} um2 a bit cell, "
        f"{delay:.3f} ns, {1000 / delay:.0f} MHz"
    )


if __name__ == "__main__":
    try:
        _main()
    except (LibertyError, ParameterError, SynthesisError, TimingError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
