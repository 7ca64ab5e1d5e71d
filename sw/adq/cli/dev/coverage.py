"""`adq dev coverage`: measures the coverage of the RTL tests."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption, CollectOption, ProcessesOption, ShardOption
from adq.cli.tile_options import CACHE


def coverage(
    seeds: Annotated[
        int,
        typer.Option("--seeds", metavar="N", min=1, help="Number of seeds of the random tests."),
    ] = 2,
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    shard: ShardOption = "",
    collect: CollectOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Output folder of runs and coverage.json.")
    ] = Path("build/coverage"),
) -> None:
    """Run the tests of small tiles, and measure line, branch, toggle and functional coverage.

    Runs that finished with the same design and tests are reused. The exit status is 1 if a test
    fails or if a coverage goal of the test plan is not reached, which a shard alone need not.
    """
    from adq.console import Console
    from adq.files import write_json
    from adq.signoff.coverage_report import coverage_of, print_coverage, totals_of
    from adq.signoff.regressions import models_in, run_or_collect
    from adq.verif.parallel.shards import WHOLE, Shard
    from adq.verif.signoff.plan import testplan
    from adq.verif.signoff.regression import collecting, run_lists

    plan = testplan.read_plan()
    console = Console()
    part = Shard.parse(shard)
    runs = part.of(run_lists.covered_runs(range(1, seeds + 1)))
    with models_in(CACHE, coverage=True) as models:
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
        )
        summary = coverage_of(result, models, plan)
    write_json(out / "coverage.json", summary)
    write_json(out / "totals.json", totals_of(summary) | {"seeds": seeds})
    print_coverage(summary, console)
    failed = [record.run.id for record in result.records if record.state != "passed"]
    console.print(f"{len(result.records)} runs, {len(failed)} failed; written: {out}/coverage.json")
    collecting.require_whole(missing, len(runs))
    if failed or (part == WHOLE and not summary["reached"]):
        raise typer.Exit(1)
