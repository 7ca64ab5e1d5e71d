"""`adq dev inject`: injects bit flips into a running tile (`make inject`)."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption, ProcessesOption
from adq.cli.tile_options import CACHE


def inject(
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="Number of faults per kind of bit.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the bits, times and jobs.")] = 1,
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Output folder of injection.json.")
    ] = Path("build/injection"),
) -> None:
    """Flip single bits of a running tile, and count masked, detected and silent faults.

    A fault is detected if it violates a stream rule, triggers the watchdog, or shows in a status, a
    `last` flag or a counter. Otherwise it is masked if all results are correct, and a silent
    corruption if not.
    """
    import time
    from dataclasses import asdict

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.parallel.pool_choice import pool_of
    from adq.verif.processes import Processes
    from adq.verif.signoff.injection.campaign import TILE, Effect, FaultCampaign, describe, rates

    console = Console()
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes = []
    with (
        pool_of(cluster, workers=processes, processes=Processes()) as pool,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("listing every bit of the tile", total=None)
        campaign = FaultCampaign(
            count=count,
            seed=seed,
            directory=out,
            cache=CACHE,
            pool=pool,
        )
        progress.update(task, description="building a tile with fault injection")
        model = campaign.build()
        progress.update(task, description="faults", total=len(campaign.injections))
        for outcome in campaign.run(model):
            outcomes.append(outcome)
            progress.advance(task)

    found = rates(campaign.bits, outcomes)
    table = Table(title="Faults")
    table.add_column("bits that flip", overflow="fold")
    for heading in ("bits", "faults", *Effect):
        table.add_column(str(heading), justify="right", overflow="fold")
    table.add_column("detected by", overflow="fold")
    for rate in found:
        shares = []
        for effect in Effect:
            share, low, high = rate.share(effect)
            shares.append(f"{share:.1%} ({low:.1%} to {high:.1%})")
        signs = ", ".join(f"{sign} {hits}" for sign, hits in rate.signs.most_common())
        table.add_row(rate.kind, f"{rate.bits:,}", str(rate.count), *shares, signs)
    console.print(table)
    write_json(
        out / "injection.json",
        {
            "tile": asdict(TILE),
            "seed": seed,
            "rates": [rate.as_dict() for rate in found],
            "faults": [describe(*outcome) for outcome in outcomes],
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    console.print(f"seed {seed}; shares with their intervals at 95 %", highlight=False)
