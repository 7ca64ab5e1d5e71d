"""Keeps a comparison: its rows as JSON, and its figure."""

from pathlib import Path

from adq.comparison.figure import draw_comparison
from adq.comparison.outcome import Outcome
from adq.files import write_json
from adq.runs.density_figures import save

__all__ = ["keep_comparison"]


def keep_comparison(folder: Path, results: Path, figures: Path) -> list[Path]:
    """Write a comparison's rows to ``results/NAME.json`` and its figure below ``figures``.

    Rows that are kept there already stay if they were made under the same conditions, so that seeds
    may be trained one after another, or on several machines. New rows replace those of the same
    run.

    Raises
    ------
    adq.comparison.outcome.ComparisonError
        If the folder holds no outcome, or what is kept is damaged.

    """
    outcome = Outcome.read(folder / "comparison.json")
    name = outcome.name
    kept, figure = results / f"{name}.json", figures / name / "comparison.svg"
    if kept.exists():
        outcome = outcome.with_rows_of(Outcome.read(kept))
    for each in (kept, figure):
        each.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, outcome.to_json())
    save(draw_comparison(outcome), figure)
    return [kept, figure]
