"""Outcome of a comparison: a row a run, and what the rows of a policy and budget come to."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from adq.comparison.cells import BASELINE, Cell
from adq.comparison.rows import ROW, Difference, Row, difference
from adq.golden.files.json_reader import JsonError, Schema, read_json
from adq.golden.files.reading import FileError
from adq.runs.run import Run
from adq.training.policies.budget import Budget
from adq.training.policies.limit import TOLERANCE

__all__ = ["ComparisonError", "Group", "Outcome", "Table", "collect"]

REFERENCE = "activation-density"
"""Policy that others are compared with."""

CHALLENGER = "energy-aware"
"""Policy that is also compared with each other one."""

COLUMNS = (
    "budget",
    "policy",
    "seeds",
    "accuracy",
    f"difference to {REFERENCE}",
    "p",
    "same bits",
    "energy nJ",
    "cycles",
    "bits a MAC",
)
"""Headings of the table of all policies."""

VERSUS = ("budget", "against", "pairs", "difference", "p", "same bits")
"""Headings of the table of the challenger."""


class ComparisonError(ValueError):
    """A comparison that is damaged or not there."""


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
    difference: Difference | None
    """Difference to the reference policy; None for itself, and where it has no run."""


_SCHEMA = Schema(
    {
        "type": "object",
        "required": ["name", "conditions", "rows"],
        "properties": {
            "name": {"type": "string"},
            "conditions": {"type": "string"},
            "rows": {"type": "array", "items": ROW},
        },
    }
)


class Table(NamedTuple):
    """A table as texts."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


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

    def with_rows_of(self, other: "Outcome") -> "Outcome":
        """Return the outcome with the runs of another one that it lacks, the seeds in order. Rows
        made under other conditions are left out.
        """
        if other.conditions != self.conditions:
            return self
        rows = {(row.seed, row.budget, row.policy): row for row in (*other.rows, *self.rows)}
        ordered = sorted(rows.values(), key=lambda row: row.seed)
        return Outcome(self.name, self.conditions, tuple(ordered))

    def tables(self) -> list[Table]:
        """Return all policies as a table, and the challenger against each other one, if it ran."""
        tables = [Table(self.conditions, COLUMNS, [_cells(each) for each in self.groups()])]
        versus = [
            [budget, policy, str(each.pairs), *_compared(each)]
            for (budget, policy), each in self.versus(CHALLENGER).items()
        ]
        if versus:
            tables.append(Table(f"{CHALLENGER} against each other policy", VERSUS, versus))
        return tables

    def versus(self, policy: str) -> dict[tuple[str, str], Difference]:
        """Return the difference of a policy to each other one, by budget and other policy."""
        keys = dict.fromkeys((row.budget, row.policy) for row in self.rows if row.budget)
        found = {
            (budget, other): difference(self._rows(budget, policy), self._rows(budget, other))
            for budget, other in keys
            if other != policy
        }
        return {key: each for key, each in found.items() if each is not None}

    def _rows(self, budget: str, policy: str) -> dict[int, Row]:
        return {row.seed: row for row in self.rows if (row.budget, row.policy) == (budget, policy)}

    def _group(self, budget: str, policy: str) -> Group:
        rows = self._rows(budget, policy)
        accuracies = [row.accuracy for row in rows.values()]
        reference = {} if policy == REFERENCE else self._rows(budget, REFERENCE)
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
            difference=difference(rows, reference),
        )


def _missed(row: Row) -> bool:
    """Return whether a row's cost is too far from its budget, as far as the row tells it."""
    budget = Budget.parse(row.budget)
    if budget is None:
        return False
    energy = None if row.energy_nj is None else 1000 * row.energy_nj
    found = {"energy": energy, "cycles": row.cycles, "average_bits": row.average_bits}
    cost = found.get(budget.quantity)
    return cost is not None and abs(cost / budget.amount - 1) > TOLERANCE


def _cells(group: Group) -> list[str]:
    """Return the cells of a group in a table: texts of ``COLUMNS``."""
    deviation = "" if group.deviation is None else f" ± {100 * group.deviation:.2f}"
    missed = f" ({group.missed} missed)" if group.missed else ""
    return [
        (group.budget or "none") + missed,
        group.policy,
        str(group.seeds),
        f"{100 * group.accuracy:.2f}{deviation} %",
        *_compared(group.difference),
        "-" if group.energy_nj is None else f"{group.energy_nj:,.1f}",
        "-" if group.cycles is None else f"{group.cycles:,.0f}",
        f"{group.average_bits:.2f}",
    ]


def _compared(found: Difference | None) -> list[str]:
    """Return the texts of a difference: its mean and deviation, p, and pairs of the same bits."""
    if found is None:
        return ["-", "-", "-"]
    spread = "" if found.deviation is None else f" ± {100 * found.deviation:.2f}"
    p = "-" if found.p is None else f"{found.p:.2f}"
    return [f"{100 * found.mean:+.2f}{spread}", p, f"{found.same_bits} of {found.pairs}"]


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
        f"{recipe.model.title} on {recipe.data.name}, {images} training images, "
        f"{recipe.training.epochs} epochs; first and last layer {controller.first_bits} and "
        f"{controller.last_bits} bits, others at least {controller.minimum_bits}; energy of "
        f"computing on {controller.tile or 'no tile'}"
    )
