"""``adq cost``: computes costs from published figures."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.architecture_options import (
    ArchOption,
    BitsOption,
    ChannelsOption,
    ClassesOption,
    ShapeOption,
)


def cost(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Training runs, checkpoints and golden artifacts.", metavar="PATH"),
    ] = None,
    arch: ArchOption = None,
    bits: BitsOption = "16",
    channels: ChannelsOption = "",
    density: Annotated[
        str,
        typer.Option(
            metavar="AD,...",
            help="Lower the bits of the architecture once by this activation density: one number, "
            "or one number for each layer except the last.",
        ),
    ] = "",
    shape: ShapeOption = "3x32x32",
    classes: ClassesOption = 10,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the result (JSON).")
    ] = Path("build/cost"),
) -> None:
    """Compute MACs, bit operations and energy of networks from published figures.

    The networks are training runs, checkpoints, golden artifacts, or an architecture with given
    bits and channels. Nothing is simulated.
    """
    from adq.console import Console
    from adq.cost.cost_table import SOURCES, cost_tables, to_json
    from adq.cost.sources import CostError, architecture_work, numbers, read_networks
    from adq.files import write_json

    networks = [network for path in sources or [] for network in read_networks(path)]
    if arch is not None:
        networks.append(
            architecture_work(
                arch,
                input_shape=numbers("input", shape, int),
                classes=classes,
                bits=numbers("bits", bits, int),
                channels=numbers("channels", channels, int),
                densities=numbers("density", density, float),
            )
        )
    if not networks:
        raise CostError("nothing to count: give a run, a checkpoint, an artifact, or --arch vgg19")
    console = Console(markup=False)
    for table in cost_tables(networks):
        console.print(table)
    console.print(SOURCES, highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "cost.json"
    write_json(path, {"networks": [to_json(network) for network in networks]})
    console.print(f"Written: {path}", highlight=False)
