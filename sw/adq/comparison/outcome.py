"""Outcome of a comparison: a row a run, and what the rows of a policy and budget come to."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from adq.comparison.cells import BASELINE, Cell
from adq.console import markdown_code
from adq.golden.files.json_reader import JsonError, Schema, read_json
from adq.golden.files.reading import FileError
from adq.runs.run import Run
from adq.training.policies.budget import Budget
from adq.training.policies.limit import TOLERANCE

__all__ = ["ComparisonError", "Group", "Outcome", "Row", "collect"]

REFERENCE = "activation-density"
"""Policy that others are compared with."""


class ComparisonError(ValueError):
    """A comparison that is damaged or not there."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Result of a run."""

    policy: str
    budget: str
    seed: int
    accuracy: float
    """Accuracy on the test set after the last epoch."""
    energy_nj: float | None
    """Energy of computing an image on the tile, by the operands of the trained network."""
    cycles: float | None
    average_bits: float
    """Average bits over all multiply-accumulates."""
    iterations: int
    bits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one policy at one budget."""

    policy: str
    budget: str
    seeds: int
    accuracy: float
    deviation: float | None
    """Standard deviation of the accuracy over seeds; None for one seed."""
    energy_nj: float | None
    cycles: float | None
    average_bits: float
    missed: int
    """Runs whose cost is more than 5 % from the budget."""
    difference: float | None = None
    """Mean difference in accuracy to the reference policy with the same seed and budget."""
    difference_deviation: float | None = None
    p: float | None = None
    """Probability of such a difference by chance: paired t-test, two-sided."""


_ROW = {
    "type": "object",
    "required": ["policy", "budget", "seed", "accuracy", "energy_nj", "average_bits", "bits"],
    "properties": {
        "policy": {"type": "string"},
        "budget": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0},
        "accuracy": {"type": "number", "minimum": 0, "maximum": 1},
        "energy_nj": {"type": ["number", "null"], "minimum": 0},
        "cycles": {"type": ["number", "null"], "minimum": 0},
        "average_bits": {"type": "number", "minimum": 0},
        "iterations": {"type": "integer", "minimum": 1},
        "bits": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}

_SCHEMA = Schema(
    {
        "type": "object",
        "required": ["name", "conditions", "rows"],
        "properties": {
            "name": {"type": "string"},
            "conditions": {"type": "string"},
            "rows": {"type": "array", "items": _ROW},
        },
    }
)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a comparison."""

    name: str
    conditions: str
    """Network, images, epochs and tile, in words."""
    rows: tuple[Row, ...]

    def groups(self) -> list[Group]:
        """Return the groups of rows by budget and policy, the baseline last."""
        keys = list(dict.fromkeys((row.budget, row.policy) for row in self.rows))
        keys.sort(key=lambda key: key[1] == BASELINE)
        return [self._group(budget, policy) for budget, policy in keys]

    def to_json(self) -> dict[str, Any]:
        """Return name, conditions and rows."""
        return {
            "name": self.name,
            "conditions": self.conditions,
            "rows": [asdict(row) for row in self.rows],
        }

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """Read a file that holds what ``to_json`` gave.

        Raises
        ------
        ComparisonError
            If there is none, or it is damaged.

        """
        try:
            content = read_json(path, _SCHEMA)
            rows = tuple(Row(**row) for row in content["rows"])
        except FileNotFoundError:
            raise ComparisonError(f"{path}: is not there: give the folder of adq compare") from None
        except (JsonError, FileError, TypeError) as error:
            raise ComparisonError(
                f"{path}: is no comparison, or damaged ({error}): run adq compare again"
            ) from None
        return cls(content["name"], content["conditions"], rows)

    def markdown(self) -> list[str]:
        """Return the lines of a table."""
        lines = [
            f"{markdown_code(self.name)}: {self.conditions}",
            "",
            "| budget | policy | seeds | accuracy | difference to `activation-density` | p "
            "| energy nJ | cycles | bits a MAC |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        return lines + [f"| {' | '.join(cells(group))} |" for group in self.groups()]

    def _rows(self, budget: str, policy: str) -> dict[int, Row]:
        return {row.seed: row for row in self.rows if (row.budget, row.policy) == (budget, policy)}

    def _group(self, budget: str, policy: str) -> Group:
        rows = self._rows(budget, policy)
        accuracies = [row.accuracy for row in rows.values()]
        reference = self._rows(budget, REFERENCE)
        compared: dict[str, float | None] = {}
        pairs = [
            (row.accuracy, reference[seed].accuracy)
            for seed, row in rows.items()
            if seed in reference and policy != REFERENCE
        ]
        if pairs:
            differences = [ours - theirs for ours, theirs in pairs]
            compared["difference"] = statistics.fmean(differences)
            if len(pairs) > 1:
                compared["difference_deviation"] = statistics.stdev(differences)
                compared["p"] = _paired_t(differences)
        energies = [row.energy_nj for row in rows.values() if row.energy_nj is not None]
        cycles = [row.cycles for row in rows.values() if row.cycles is not None]
        return Group(
            policy=policy,
            budget=budget,
            seeds=len(rows),
            accuracy=statistics.fmean(accuracies),
            deviation=statistics.stdev(accuracies) if len(rows) > 1 else None,
            energy_nj=statistics.fmean(energies) if energies else None,
            cycles=statistics.fmean(cycles) if cycles else None,
            average_bits=statistics.fmean(row.average_bits for row in rows.values()),
            missed=sum(_missed(row) for row in rows.values()),
            **compared,
        )


def _paired_t(differences: Sequence[float]) -> float:
    """Return the two-sided p of a paired t-test; 1 where no pair differs."""
    if len(set(differences)) == 1:
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _missed(row: Row) -> bool:
    """Return whether a row's cost is too far from its budget, as far as the row tells it."""
    budget = Budget.parse(row.budget)
    if budget is None:
        return False
    energy = None if row.energy_nj is None else 1000 * row.energy_nj
    found = {"energy": energy, "cycles": row.cycles, "average_bits": row.average_bits}
    cost = found.get(budget.quantity)
    return cost is not None and abs(cost / budget.amount - 1) > TOLERANCE


def cells(group: Group) -> list[str]:
    """Return the cells of a group in a table: texts of the columns of ``Outcome.markdown``."""
    deviation = "" if group.deviation is None else f" ± {100 * group.deviation:.2f}"
    compared = ["-", "-"]
    if group.difference is not None:
        spread = group.difference_deviation
        more = "" if spread is None else f" ± {100 * spread:.2f}"
        compared = [
            f"{100 * group.difference:+.2f}{more}",
            "-" if group.p is None else f"{group.p:.2f}",
        ]
    missed = f" ({group.missed} missed)" if group.missed else ""
    return [
        (group.budget or "none") + missed,
        f"`{group.policy}`",
        str(group.seeds),
        f"{100 * group.accuracy:.2f}{deviation} %",
        *compared,
        "-" if group.energy_nj is None else f"{group.energy_nj:,.1f}",
        "-" if group.cycles is None else f"{group.cycles:,.0f}",
        f"{group.average_bits:.2f}",
    ]


def collect(name: str, planned: Sequence[Cell], folder: Path) -> Outcome:
    """Return the outcome of the runs that are finished.

    Raises
    ------
    ComparisonError
        If none is.
    adq.runs.run.RunError
        If a run's metrics are damaged.

    """
    rows = []
    for cell in planned:
        run = Run(folder / cell.name)
        if run.finished:
            rows.append(_row(cell, run.read_metrics()))
    if not rows:
        raise ComparisonError(f"{folder}: no run of the comparison is finished yet")
    return Outcome(name, _conditions(planned[0]), tuple(rows))


def _row(cell: Cell, metrics: Mapping[str, Any]) -> Row:
    mixed = metrics["mixed"]
    iterations = [
        point for point in metrics["operating_points"] if point["name"].startswith("iteration")
    ]
    last = iterations[-1]
    return Row(
        policy=cell.policy,
        budget=cell.budget,
        seed=cell.seed,
        accuracy=mixed["accuracy"],
        energy_nj=last["energy_nj"],
        cycles=last["cycles"],
        average_bits=last["average_bits"],
        iterations=len(iterations),
        bits=mixed["bits"],
    )


def _conditions(cell: Cell) -> str:
    recipe = cell.recipe
    images = f"{recipe.data.train_images:,}" if recipe.data.train_images else "all"
    controller = recipe.controller
    return (
        f"{recipe.model.name} on {recipe.data.name}, {images} training images, "
        f"{recipe.training.epochs} epochs; first and last layer {controller.first_bits} and "
        f"{controller.last_bits} bits, others at least {controller.minimum_bits}; energy of "
        f"computing on {controller.tile or 'no tile'}"
    )
