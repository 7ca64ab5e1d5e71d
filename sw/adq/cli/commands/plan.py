"""`adq plan`: plans an artifact on a platform, and writes its program."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.golden.platform.planning.planner import Plan, PlannedStep


def plan(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to plan.")],
    platform: Annotated[
        str,
        typer.Option(
            "--platform",
            metavar="NAME|FILE",
            help="Platform parameters: the name of a platform shipped with adq, or a TOML file.",
        ),
    ] = "tiles6",
    batch: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Most images at a time, in the last layers."),
    ] = 32,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Images of the program. Default: those of the artifact."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Run the program on the artifact's images, and compare every integer.",
        ),
    ] = True,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the plan (JSON) and the program.")
    ] = Path("build/plan"),
) -> None:
    """Plan an artifact on a platform: layers, cycles, utilization, memory and bus.

    Cycles are those of the formulas, with a memory that never waits. Written are the plan as JSON
    and the program that the platform runs. The program is run by an interpreter on the images of
    the artifact, and every integer is compared.
    """
    from rich.markup import escape

    from adq.cli.result_path import result_path
    from adq.console import Console, print_whole
    from adq.files import replacing, write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.platform.emission import emit
    from adq.golden.platform.planning.planner import plan as make_plan
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    console = Console(markup=False)
    with console.status(f"{escape(str(directory))}: planning"):
        artifact = read_artifact(directory)
        count = images or len(artifact.samples)
        made = make_plan(artifact.network, parameters, batch=min(batch, count))
        program = emit(made, count)
    title = f"{directory} on {platform}, {made.batch} images a pass"
    print_whole(_table(title, made), console)
    console.print(_summary(made, len(program.memory)), highlight=False)
    path = result_path(directory, out)
    binary = path.with_suffix(".program")
    with replacing(binary) as temporary:
        temporary.write_bytes(program.to_bytes())
    write_json(path, _description(directory, made, binary, len(program.memory)))
    console.print(f"Written: {path}, {binary}", highlight=False)
    if check:
        _check(artifact, made, console)


def _check(artifact: Any, made: "Plan", console: Any) -> None:
    """Run the artifact's images through the interpreter; exit status 1 if an integer differs."""
    from adq.golden.integer_network import run
    from adq.golden.platform.emission import emit
    from adq.golden.platform.host import run_and_compare

    inputs = artifact.samples.inputs
    program = emit(made, len(inputs))
    _, compared = run_and_compare(artifact.network, program, inputs, run(artifact.network, inputs))
    integers = sum(each.integers for each in compared.values())
    differing = {name: each.differing for name, each in compared.items() if each.differing}
    console.print(
        f"Interpreted: {integers:,} integers of {len(compared)} nodes compared, "
        f"{sum(differing.values()):,} differ",
        highlight=False,
    )
    if differing:
        console.print(f"They differ in {', '.join(differing)}", highlight=False)
        raise typer.Exit(1)


def _summary(made: "Plan", program_bytes: int) -> str:
    platform = made.platform
    used = made.memory_words * platform.rows / 8192
    return (
        f"{made.cycles_per_image:,.0f} cycles an image, utilization {made.utilization:.1%}. "
        f"Plane memory: {used:,.1f} of {platform.plane_memory_kib} KiB. Program: "
        f"{program_bytes:,} bytes. Bus: {made.bus_bytes / made.batch:,.0f} bytes an image.\n"
        "Useful and lost: shares of the bit products of all tiles in the step's cycles. sign: "
        "columns that repeat a weight's sign. rows, columns: without a weight. pooling: pixels "
        "that windows share. tiles: uneven splits. weights, bus: waits for weights. drains: "
        "waits for results before. fill: start and end of the step."
    )


def _table(title: str, made: "Plan") -> "Table":
    from rich.table import Table

    table = Table(title=title)
    table.add_column("step")
    for heading in ("kw x kx", "blocks x outputs", "images", "split", "cycles/image"):
        table.add_column(heading, justify="right")
    causes = list(made.steps[0].cycles.lost)
    for heading in ("useful", *causes):
        table.add_column(heading, justify="right")

    def shares(of: "tuple[PlannedStep, ...]") -> list[str]:
        weights = [made.batch // each.images for each in of]
        parts = [
            sum(w * each.cycles.useful for w, each in zip(weights, of, strict=True)),
            *(
                sum(w * each.cycles.lost[cause] for w, each in zip(weights, of, strict=True))
                for cause in causes
            ),
        ]
        return [f"{part / sum(parts):.1%}" for part in parts]

    for each in made.steps:
        step, schedule = each.step, each.cycles.schedule
        table.add_row(
            step.node if step.first == 0 else f"{step.node}[{step.first}]",
            f"{step.weight_bits}x{step.source.buffer.layout.planes}",
            f"{step.blocks} x {step.outputs}",
            f"{each.images}",
            f"{'stacked ' if schedule.stacked else ''}{schedule.split} x {schedule.parts}",
            f"{each.cycles.cycles / each.images:,.0f}",
            *shares((each,)),
        )
    table.add_section()
    total = f"{made.cycles_per_image:,.0f}"
    table.add_row("total", "", "", f"{made.batch}", "", total, *shares(made.steps))
    return table


def _description(directory: Path, made: "Plan", program: Path, size: int) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "artifact": str(directory),
        "platform": asdict(made.platform),
        "program": str(program),
        "program_bytes": size,
        "images": made.batch,
        "cycles": made.cycles,
        "cycles_per_image": made.cycles_per_image,
        "utilization": made.utilization,
        "plane_memory_words": made.memory_words,
        "bus_bytes": made.bus_bytes,
        "load_cycles_per_image": made.load_cycles,
        "steps": [
            {
                "node": each.step.node,
                "first_output": each.step.first,
                "outputs": each.step.outputs,
                "weight_bits": each.step.weight_bits,
                "planes": each.step.source.buffer.layout.planes,
                "row_blocks": each.step.blocks,
                "images": each.images,
                **asdict(each.cycles),
                "cycles": each.cycles.cycles,
            }
            for each in made.steps
        ],
    }
