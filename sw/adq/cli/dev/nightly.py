"""`adq dev nightly`: runs the random tests with many seeds (`make nightly`)."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption, CollectOption, ProcessesOption, ShardOption
from adq.cli.tile_options import CACHE


def nightly(
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Number of seeds per random test.")
    ] = 100,
    budget: Annotated[
        str,
        typer.Option("--budget", metavar="TIME", help="Time limit, such as 90s, 30m or 2h."),
    ] = "",
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    shard: ShardOption = "",
    collect: CollectOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Output folder of runs and nightly.json.")
    ] = Path("build/nightly"),
) -> None:
    """Test blocks and whole tiles of several sizes with many seeds.

    Runs that finished with the same design and tests are not repeated, so the same command resumes
    after a time limit or an interrupt. The exit status is 1 if a test fails. Tests that did not run
    are listed and are not failures. Shards are run with the same options but for --out, and then
    collected.
    """
    import time

    from adq.console import Console
    from adq.files import write_json
    from adq.signoff.regressions import (
        failures_small,
        models_in,
        print_failed_testpoints,
        run_or_collect,
        seconds_of,
        summary_of,
        under_way,
    )
    from adq.verif.parallel.shards import Shard
    from adq.verif.signoff.plan import testplan
    from adq.verif.signoff.regression import collecting, run_lists

    started = time.monotonic()
    deadline = started + seconds_of(budget) if budget else None
    plan = testplan.read_plan()
    console = Console()
    part = Shard.parse(shard)
    runs = part.of(run_lists.nightly_runs(seeds, plan.exhaustive))
    file = out / "nightly.json"
    with models_in(CACHE) as models:
        write_json(file, under_way())
        result, missing = run_or_collect(
            runs,
            models,
            out,
            collect=collect,
            cluster=cluster,
            workers=processes,
            plan=plan,
            console=console,
            again=False,
            deadline=deadline,
        )
        failures_small(result, models, out, console, deadline)
    assessments = result.assess(plan)
    print_failed_testpoints(assessments, console)
    tests = result.tests()
    summary = summary_of(result, assessments, [], tests) | {
        "state": ("incomplete" if collect else "out of time") if result.not_run else "finished",
        "shard": str(part),
        "seconds": round(time.monotonic() - started, 1),
        "budget": budget,
        "seeds": run_lists.seeds_of(tests),
    }
    write_json(file, summary)
    console.print(
        f"{len(result.records)} of {len(runs)} runs in {summary['seconds']:.0f} s; "
        f"{summary['passed']} passed, {summary['failed']} failed; written: {file}",
        style="red" if summary["failed"] else "green",
        highlight=False,
    )
    collecting.require_whole(missing, len(runs))
    if result.not_run:
        console.print(
            f"Not run, for want of time: {len(result.not_run)} runs, from "
            f"{result.not_run[0].id} on; the same command goes on",
            style="yellow",
            highlight=False,
        )
    if summary["failed"]:
        raise typer.Exit(1)
