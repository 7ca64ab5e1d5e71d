"""Generated sections about what is verified."""

import math
from collections.abc import Callable, Mapping, Sequence

from adq.signoff.kept import RESULTS, read_kept
from adq.signoff.markdown import markdown_table

__all__ = ["VERIFICATION_SECTIONS"]


def _mutants() -> list[str]:
    """Return the outcomes of the mutants of each design."""
    folder = RESULTS / "mutation"
    outcomes = [read_kept(path.relative_to(RESULTS)) for path in sorted(folder.glob("*.json"))]
    fates = ("killed", "equal", "undecided")
    rows = []
    for outcome in outcomes:
        score = "-" if outcome["score"] is None else f"{outcome['score']:.1%}"
        counts = [outcome[fate] for fate in fates]
        rows.append([f"`{outcome['design']}`", *map(str, (sum(counts), *counts)), score])
    sums = [sum(outcome[fate] for outcome in outcomes) for fate in fates]
    score = f"{sums[0] / (sums[0] + sums[2]):.1%}"
    rows.append(["all", *map(str, (sum(sums), *sums)), score])
    return markdown_table(
        ["design", "mutants", "killed", "proved equal", "undecided", "score"], rows
    )


def _coverage() -> list[str]:
    """Return what the tests reach of the tile and its blocks, and of the platform's blocks."""
    kept = read_kept("coverage.json")
    kinds = {"line": "lines", "branch": "branches", "toggle": "toggles"}
    rows = []
    for part, totals in kept["totals"].items():
        name = f"{part}, {totals['instances']} instances"
        shares = [totals[kind]["hit"] / totals[kind]["total"] for kind in kinds]
        cells = [
            f"{totals[kind]['hit']:,} of {totals[kind]['total']:,} ({_rounded_down(share)})"
            for kind, share in zip(kinds, shares, strict=True)
        ]
        rows.append([name, *cells, f"{totals['toggle']['excluded']:,}"])
    bins = kept["functional"]
    return [
        *markdown_table(["instances of", *kinds.values(), "toggles left out"], rows),
        "",
        f"Functional bins: {bins['hit']:,} of {bins['total']:,}.",
    ]


def _rounded_down(share: float) -> str:
    """Return a share in percent that says 100 only where all is reached."""
    return f"{math.floor(share * 1000) / 10:.1f} %"


VERIFICATION_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "coverage": _coverage,
    "mutants": _mutants,
}
"""Lines of each section, by the name in its marker."""
