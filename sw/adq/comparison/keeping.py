"""Keeps a comparison: its rows as JSON, and its figure."""

from pathlib import Path

from adq.comparison.figure import draw_comparison
from adq.comparison.outcome import Outcome
from adq.files import write_json
from adq.runs.density_figures import save

__all__ = ["keep_comparison"]


def keep_comparison(folder: Path, results: Path, figures: Path) -> list[Path]:
    """Write a comparison's rows to ``results/NAME.json`` and its figure below ``figures``.

    Raises
    ------
    adq.comparison.outcome.ComparisonError
        If the folder holds no outcome.

    """
    outcome = Outcome.read(folder / "comparison.json")
    name = outcome.name
    kept, figure = results / f"{name}.json", figures / name / "comparison.svg"
    for each in (kept, figure):
        each.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, outcome.to_json())
    save(draw_comparison(outcome), figure)
    return [kept, figure]
