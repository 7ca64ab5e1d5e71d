"""`adq dev testplan`: shows the test plan with its results."""

from pathlib import Path
from typing import Annotated

import typer


def testplan(
    check_only: Annotated[
        bool, typer.Option("--check", help="Only check the plan against the existing tests.")
    ] = False,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="Folder with the results of commands.")
    ] = Path("build"),
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Output file of the table (JSON).")
    ] = Path("build/testplan.json"),
) -> None:
    """Show the test plan with the results of the latest regressions, proofs and tests.

    The exit status is 1 if a testpoint has failed.
    """
    from adq.verif.signoff.plan import planned
    from adq.verif.signoff.plan import testplan as plans

    plan = plans.read_plan()
    try:
        planned.check(plan)
    except plans.TestPlanError as error:
        for problem in str(error).splitlines():
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(2) from None
    if check_only:
        return

    from adq.console import Console
    from adq.files import write_json
    from adq.signoff.evidence import print_testpoints, read_evidence

    console = Console()
    evidence = read_evidence(results)
    assessments = evidence.assess(plan)
    print_testpoints(assessments, console)
    counts = {
        outcome.value: sum(assessment.outcome is outcome for assessment in assessments)
        for outcome in plans.Outcome
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        out,
        {
            "testpoints": [assessment.to_json() for assessment in assessments],
            "counts": counts,
            "exclusions": [vars(exclusion) for exclusion in plan.exclusions],
            "results": evidence.files,
        },
    )
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    console.print(f"{len(assessments)} testpoints: {summary}; written: {out}", highlight=False)
    if counts[plans.Outcome.FAILED]:
        raise typer.Exit(1)
