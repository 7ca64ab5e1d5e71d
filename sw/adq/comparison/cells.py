"""Runs of a comparison: a policy, a budget and a seed each."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.fields import ConfigError, check_choice
from adq.training.config import POLICIES, ControllerConfig, Recipe, TrainingConfig

__all__ = ["BASELINE", "Cell", "plan"]

BASELINE = "16-bit"
"""Network that keeps its initial bits in every layer."""

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Cell:
    """A run of a comparison."""

    policy: str
    """One of ``POLICIES``, or ``BASELINE``."""
    budget: str
    """Budget as in a recipe; empty for the baseline."""
    seed: int
    recipe: Recipe

    @property
    def name(self) -> Path:
        """Folder of the run, from that of the comparison."""
        budget = re.sub(r"[^0-9A-Za-z.]+", "-", self.budget)
        return Path(budget) / self.policy / f"seed-{self.seed}"

    @property
    def first_iteration(self) -> Recipe:
        """Recipe that decides the training up to the end of the first iteration.

        Two cells that have it in common share that iteration.
        """
        if self.policy == BASELINE:
            return self.recipe
        neutral = dataclasses.replace(
            self.recipe.controller, policy=POLICIES[0], budget="1 bits", uniform_bits=4
        )
        return dataclasses.replace(self.recipe, controller=neutral)


def plan(
    recipe: Recipe, *, policies: Sequence[str], budgets: Sequence[str], seeds: int
) -> list[Cell]:
    """Return the cells of a comparison, those of one seed one after another.

    Every seed has a baseline at the recipe's initial bits.

    Raises
    ------
    ConfigError
        If a policy or a budget is none, is given twice, or there is nothing to compare.

    """
    for policy in policies:
        check_choice("policy", policy, POLICIES)
    for what, values in (("policy", policies), ("budget", budgets)):
        if not values:
            raise ConfigError(f"no {what} is given: a comparison needs one at least")
        if len(set(values)) < len(values):
            raise ConfigError(f"a {what} is given twice: {', '.join(values)}")
    if not 1 <= seeds <= 1000:
        raise ConfigError(f"seeds is {seeds}: it must be 1 to 1000")
    first = recipe.training.seed
    if first + seeds - 1 > LARGEST_SEED:
        raise ConfigError(f"seed is {first}: {seeds} seeds from it on go beyond {LARGEST_SEED}")
    cells = []
    for seed in range(first, first + seeds):
        training = dataclasses.replace(recipe.training, seed=seed, baseline=False)
        for budget in budgets:
            for policy in policies:
                controller = dataclasses.replace(recipe.controller, policy=policy, budget=budget)
                cells.append(_cell(recipe, training, controller, policy, budget))
        controller = dataclasses.replace(
            recipe.controller,
            policy=POLICIES[0],
            budget="",
            max_iterations=1,
            first_bits=recipe.controller.initial_bits,
            last_bits=recipe.controller.initial_bits,
        )
        cells.append(_cell(recipe, training, controller, BASELINE, ""))
    return cells


def _cell(
    recipe: Recipe,
    training: TrainingConfig,
    controller: ControllerConfig,
    policy: str,
    budget: str,
) -> Cell:
    changed = dataclasses.replace(recipe, training=training, controller=controller)
    return Cell(policy, budget, training.seed, changed)
