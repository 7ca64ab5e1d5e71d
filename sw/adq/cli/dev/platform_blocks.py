"""``adq dev platform-blocks``: measures the platform's blocks at gate level."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def platform_blocks(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Liberty file of the cells.", show_default=False)
    ],
    artifact: Annotated[
        Path, typer.Option(metavar="DIR", help="Golden artifact, of which an image runs.")
    ] = Path("golden/vectors/digits/mixed"),
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the library.")] = "nangate45",
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Coefficients, for `adq energy --platform`.")
    ] = Path("build/platform-blocks.json"),
) -> None:
    """Measure the blocks around the tile at gate level, and fit the energy of their accesses.

    Layers of random words, and those of a network, run in the RTL; each block's netlist replays
    what its ports did, and must answer as the RTL does. Without delays, as the tile is measured.
    """
    from adq.console import Console
    from adq.energy.platform.characterization import measure_blocks
    from adq.files import write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.conversion import converted

    console = Console()
    with console.status("platform blocks") as status:
        found = measure_blocks(
            liberty,
            converted(read_artifact(artifact)).artifact,
            name=name,
            directory=CACHE.parent / "platform-blocks",
            cache=CACHE.parent,
            progress=lambda stage: status.update(f"platform blocks: {stage}"),
        )
    for block, each in found.blocks.items():
        energies = ", ".join(f"{fj:,.1f} fJ {term}" for term, fj in each.fj.items())
        console.print(
            f"{block}: {energies}; {each.area_um2:,.0f} um2, {each.longest_path_ns:.2f} ns, "
            f"left out {each.error:.0%}",
            highlight=False,
            soft_wrap=True,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, found.to_json())
    console.print(f"Written: {out}", highlight=False)
