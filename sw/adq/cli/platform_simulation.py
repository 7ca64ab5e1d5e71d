"""Networks on the platform's RTL, for `adq sim --platform`: tables and results."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adq.cli.tile_options import CACHE

if TYPE_CHECKING:
    from rich.table import Table

    from adq.verif.simulation.program_runs.network import NetworkRun

__all__ = ["simulate_artifacts"]


def simulate_artifacts(
    artifacts: Sequence[Path], platform: str, images: int | None, out: Path
) -> bool:
    """Run artifacts on a platform, print a table for each, and write ``simulation.json``.

    Returns whether no integer differs and the counters add up, in all of them.

    Raises
    ------
    adq.rtl.parameters.ParameterError
        The platform's file has an error.
    adq.verif.simulation.simulator.SimulationError
        The platform stopped, or the simulation broke off.

    """
    from rich.markup import escape

    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.conversion import converted
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.simulation.program_runs.network import simulate_on_platform

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    console = Console(markup=False)
    path = out / "simulation.json"
    path.unlink(missing_ok=True)
    documents: list[dict[str, Any]] = []
    agrees = True
    for directory in artifacts:
        artifact = converted(read_artifact(directory)).artifact
        inputs = artifact.samples.inputs[:images]
        with console.status(f"{escape(str(directory))}: starting") as status:

            def progress(
                text: str, name: str = escape(str(directory)), shown: Any = status
            ) -> None:
                shown.update(f"{name}: {text}")

            found = simulate_on_platform(
                artifact.network,
                inputs,
                parameters,
                directory=out / "platform" / str(len(documents)),
                cache=CACHE,
                progress=progress,
            )
        print_whole(_table(f"{directory} on {platform}, {found.images} images", found), console)
        console.print(_summary(found), highlight=False)
        agrees &= found.agrees
        documents.append({"artifact": str(directory), **_document(found)})
    write_json(path, {"platform": asdict(parameters), "networks": documents, "agrees": agrees})
    console.print(f"Written: {path}", highlight=False)
    return agrees


def _table(title: str, found: "NetworkRun") -> "Table":
    from rich.table import Table

    table = Table(title=title)
    table.add_column("layer")
    for heading in ("kw x kx", "vectors x outputs", "passes", "timeline", "words", "differing"):
        table.add_column(heading, justify="right")
    for each in found.layers:
        table.add_row(
            each.node,
            f"{each.weight_bits}x{each.planes}",
            f"{each.vectors:,} x {each.outputs}",
            f"{each.passes}",
            f"{each.timeline:,}",
            f"{each.words:,}" if each.words else "results",
            f"{each.differing:,}",
        )
    return table


def _summary(found: "NetworkRun") -> str:
    run = found.run
    classes = ", ".join(f"{name} {count:,}" for name, count in run.classes.items())
    return (
        f"{found.results:,} results compared, {found.differing:,} differ.\n"
        f"{run.cycles:,} cycles from start to interrupt, {run.cycles / found.images:,.0f} an "
        f"image: {classes}.\n"
        f"Layers take {found.layer_cycles:,} of them, by the timeline {found.timeline:,}. "
        f"Bus: {run.read_beats:,} beats read, {run.write_beats:,} written."
    )


def _document(found: "NetworkRun") -> dict[str, Any]:
    run = found.run
    return {
        "images": found.images,
        "cycles": run.cycles,
        "classes": run.classes,
        "layer_cycles": found.layer_cycles,
        "timeline": found.timeline,
        "read_beats": run.read_beats,
        "write_beats": run.write_beats,
        "results": found.results,
        "differing": found.differing,
        "layers": [asdict(each) for each in found.layers],
        "agrees": found.agrees,
    }
