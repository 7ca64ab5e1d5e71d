"""Coverage as a table for people and JSON for programs."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from rich.table import Table

from adq.console import Console
from adq.verif.signoff.coverage import structural
from adq.verif.signoff.plan.testplan import TestPlan
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.regression import Regression
from adq.verif.signoff.regression.runs import Bench
from adq.verif.simulation import functional_coverage

__all__ = ["coverage_of", "print_coverage", "totals_of"]

SHOWN = 40
"""Points that are printed; all are in the JSON."""


def coverage_of(regression: Regression, models: Models, plan: TestPlan) -> dict:
    """Return the coverage of all runs of a regression; its shape stands in docs/verification.md."""
    of_model = defaultdict(list)
    for record in regression.records:
        if (record.directory / "coverage.dat").exists():
            of_model[record.run.model].append(record)
    counts: Counter[structural.Point] = Counter()
    for model, records in of_model.items():
        files = [record.directory / "coverage.dat" for record in records]
        counts.update(structural.read_points(model, models.verilog(records[0].run), files))
    table, missing, excluded, unused = structural.tabulate(counts, plan.exclusions)
    bins = functional_coverage.report(regression.bins())
    parts = {
        "tile": [instance for instance in table if not _of_platform(instance)],
        "platform": [instance for instance in table if _of_platform(instance)],
    }
    totals = {
        part: {kind: _sum(each.totals[kind] for each in instances) for kind in structural.KINDS}
        for part, instances in parts.items()
    }
    shares = {
        kind if part == "tile" else f"{part}-{kind}": _percent(total)
        for part, kinds in totals.items()
        for kind, total in kinds.items()
    }
    shares["bins"] = _percent(_sum(bins))
    return {
        "runs": [record.run.id for record in regression.records],
        "percent": shares,
        "goals": dict(plan.goals),
        "reached": all(shares[name] >= goal for name, goal in plan.goals.items()),
        "totals": {
            part: {"instances": len(parts[part]), **kinds} for part, kinds in totals.items()
        },
        "blocks": [instance.to_json() for instance in table],
        "missing": [_point(point) for point in missing],
        "excluded": [{**_point(point), "reason": reason} for point, reason in excluded],
        "unused_exclusions": [vars(exclusion) for exclusion in unused],
        "functional": bins,
    }


def totals_of(summary: dict) -> dict:
    """Return the sums of a summary, which the documentation keeps."""
    return {"totals": summary["totals"], "functional": _sum(summary["functional"])}


def _of_platform(instance: structural.Instance) -> bool:
    """Return whether an instance belongs to the platform's workbench."""
    return instance.name.startswith(f"{Bench.PLATFORM}-")


def _point(point: structural.Point) -> dict:
    return {
        "instance": point.instance,
        "kind": point.kind,
        "point": point.name,
        "source": point.source,
    }


def _sum(totals: Iterable[dict]) -> dict[str, int]:
    """Add up points that are hit, all points, and those that are left out."""
    totals = list(totals)
    return {name: sum(one.get(name, 0) for one in totals) for name in ("hit", "total", "excluded")}


def _percent(total: dict[str, int]) -> float:
    """Share of all that is hit; short of 100 where anything is missed."""
    return 100 * total["hit"] / total["total"] if total["total"] else 100.0


def _share(totals: dict[str, int]) -> str:
    if not totals["total"]:
        return "-"
    return f"{totals['hit']} of {totals['total']}"


def print_coverage(summary: dict, console: Console) -> None:
    """Print tables of instances and bins, and what is missing at its place in the sources."""
    table = Table(title="Structural coverage, without what is excluded")
    table.add_column("instance", overflow="fold")
    for kind in structural.KINDS:
        table.add_column(kind, justify="right")
    table.add_column("excluded", justify="right")
    for row in summary["blocks"]:
        totals = [row[kind] for kind in structural.KINDS]
        whole = all(total["hit"] == total["total"] for total in totals)
        excluded = sum(total["excluded"] for total in totals)
        table.add_row(
            row["instance"], *map(_share, totals), f"{excluded}", style=None if whole else "red"
        )
    console.print(table)
    table = Table(title="Functional coverage")
    table.add_column("group")
    table.add_column("bins", justify="right")
    table.add_column("what it crosses", overflow="fold")
    for group in summary["functional"]:
        style = "red" if group["missing"] else None
        table.add_row(group["name"], _share(group), group["promise"], style=style)
    console.print(table)
    console.print(
        "; ".join(
            f"{name} {percent:.2f} % (goal {summary['goals'][name]:g} %)"
            for name, percent in summary["percent"].items()
        ),
        highlight=False,
    )
    lines = [
        f"{point['source']}: {point['instance']}: {point['kind']} {point['point']}"
        for point in summary["missing"]
    ]
    lines += [f"no test reaches {name}" for g in summary["functional"] for name in g["missing"]]
    for line in lines[:SHOWN]:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if len(lines) > SHOWN:
        console.print(f"... and {len(lines) - SHOWN} more", style="red", highlight=False)
    for exclusion in summary["unused_exclusions"]:
        line = f"an exclusion excludes nothing that is missed: {', '.join(exclusion['points'])}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
