"""`adq dev inject`: bits that flip while the tile runs, behind `make inject`."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def inject(
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="Faults in each kind of bit.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Which bits, when, in which jobs.")] = 1,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, help="At a time; one a processor."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where injection.json goes.")
    ] = Path("build/injection"),
) -> None:
    """Flip single bits of a tile at work, and tell which faults pass unseen.

    A fault is masked where every result is right all the same, detected where a stream's rule, the
    watchdog, a status, the marks of results or a counter tells of it, and else a silent corruption.
    """
    import os
    import time
    from dataclasses import asdict

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.signoff.injection.campaign import TILE, Effect, FaultCampaign, describe, rates

    console = Console()
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("listing every bit of the tile", total=None)
        campaign = FaultCampaign(
            count=count,
            seed=seed,
            directory=out,
            cache=CACHE,
            processes=processes or os.cpu_count() or 1,
        )
        progress.update(task, description="building a tile in which any of them can flip")
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
