"""Comparisons of policies: their runs, what they share, and what is made of them."""

import dataclasses
import json

import pytest
import torch
from scipy import stats

from adq.comparison.cells import BASELINE, plan
from adq.comparison.keeping import keep_comparison
from adq.comparison.outcome import ComparisonError, Outcome, collect
from adq.comparison.rows import Row
from adq.comparison.running import train_cells
from adq.data.config import DataConfig
from adq.fields import ConfigError
from adq.golden.files.locks import locked
from adq.runs.checkpoint import Checkpoint
from adq.runs.integer_evaluation import evaluate_trained
from adq.runs.run import Run
from adq.training.config import ControllerConfig, Recipe, TrainingConfig
from adq.training.observer import Observer
from adq.training.session import train

pytestmark = pytest.mark.testpoint(reason="compares trainings: nothing of the hardware")

RECIPE = Recipe(
    training=TrainingConfig(epochs=3, seed=4),
    data=DataConfig(train_images=128),
    controller=ControllerConfig(window=1, settling_epochs=1, tile=""),
)
BUDGETS = ["6 bits"]
POLICIES = ["activation-density", "uniform"]


class Counter(Observer):
    steps = 0

    def step(self, network):
        Counter.steps += 1


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    cells = plan(RECIPE, policies=POLICIES, budgets=BUDGETS, seeds=1)
    Counter.steps = 0
    train_cells(cells, folder, begin=lambda cell: Counter())
    return folder, cells, Counter.steps


def test_the_first_iteration_is_trained_once(compared):
    folder, cells, steps = compared
    # 2 steps an epoch: AD 3 epochs, uniform from the first decision on, the baseline 3.
    first = next(
        each["epoch"]
        for each in Run(folder / cells[0].name).read_history()
        if each["iteration"] == 2
    )
    assert steps == 2 * (3 + (3 - first + 1) + 3)


def test_a_run_that_shared_is_the_run_trained_alone(compared, tmp_path):
    folder, cells, _ = compared
    uniform = cells[1]
    alone = Run.create(tmp_path / "alone", uniform.recipe)
    train(uniform.recipe, alone)
    assert alone.history.read_text() == Run(folder / uniform.name).history.read_text()


def test_runs_that_decide_the_same_are_trained_once(tmp_path):
    # Two densities can be dealt to two hidden layers in one other way, so random is inverse.
    once = dataclasses.replace(RECIPE.controller, max_iterations=2)
    recipe = dataclasses.replace(RECIPE, controller=once)
    cells = plan(recipe, policies=["inverse", "random"], budgets=["6.4 bits"], seeds=1)[:2]
    folder = tmp_path / "shared"
    counts = []

    def begin(cell):
        counts.append(Counter.steps)
        return Counter()

    train_cells(cells, folder, begin=begin)
    inverse, random = (Run(folder / cell.name) for cell in cells)
    assert Counter.steps - counts[1] == 1  # it sees what it has become after a step
    alone = Run.create(tmp_path / "alone", cells[1].recipe)
    metrics = train(cells[1].recipe, alone)
    found = random.read_metrics()
    assert alone.history.read_text() == random.history.read_text() == inverse.history.read_text()
    for each in (found, metrics):
        del each["mixed"]["seconds"]
    assert found == metrics
    states = [Checkpoint.load(run.mixed, recipe=cells[1].recipe) for run in (random, alone)]
    first, second = (
        {name: value for name, value in each.state.items() if torch.is_tensor(value)}
        for each in states
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert states[0].controller == states[1].controller
    assert evaluate_trained(random).accuracy == found["mixed"]["accuracy"]


def test_the_outcome(compared, tmp_path):
    folder, cells, _ = compared
    outcome = collect("mine", cells, folder)
    assert [row.policy for row in outcome.rows] == ["activation-density", "uniform", BASELINE]
    groups = {group.policy: group for group in outcome.groups()}
    assert groups["uniform"].average_bits == pytest.approx(6, rel=0.05)
    assert groups[BASELINE].average_bits == 16
    assert groups["uniform"].missed == 0
    path = tmp_path / "comparison.json"
    path.write_text(json.dumps(outcome.to_json()))
    assert Outcome.read(path) == outcome
    (table,) = outcome.tables()
    assert [row[:2] for row in table.rows] == [
        ["6 bits", "activation-density"],
        ["6 bits", "uniform"],
        ["none", BASELINE],
    ]


def test_a_finished_comparison_trains_nothing(compared):
    folder, cells, _ = compared
    train_cells(cells, folder, begin=lambda cell: pytest.fail("trained again"))


def test_a_run_that_another_process_holds_is_left_to_it(tmp_path):
    cells = plan(RECIPE, policies=["uniform"], budgets=BUDGETS, seeds=1)
    begun = []

    class StoppedError(Exception):
        pass

    def begin(cell):
        begun.append(cell.policy)
        return Observer()

    def wait(seconds):
        raise StoppedError

    held = tmp_path / cells[0].name
    held.parent.mkdir(parents=True)
    with locked(held), pytest.raises(StoppedError):
        train_cells(cells, tmp_path, begin=begin, wait=wait)
    assert begun == [BASELINE]


def row(policy: str, seed: int, accuracy: float, bits: float = 3.0) -> Row:
    return Row(
        policy=policy, budget="3 bits", seed=seed, accuracy=accuracy, energy_nj=None, cycles=None,
        average_bits=bits, iterations=2, bits={"a": 3},
    )  # fmt: skip


def test_means_deviations_and_the_paired_test():
    own, other = [0.90, 0.92, 0.91], [0.93, 0.94, 0.93]
    rows = [row("activation-density", seed, each) for seed, each in enumerate(own)]
    rows += [row("uniform", seed, each, 3.3) for seed, each in enumerate(other)]
    reference, uniform = Outcome("x", "y", tuple(rows)).groups()
    assert reference.accuracy == pytest.approx(0.91)
    assert reference.deviation == pytest.approx(0.01)
    assert reference.difference is None
    assert uniform.difference.mean == pytest.approx((0.03 + 0.02 + 0.02) / 3)
    assert uniform.difference.p == pytest.approx(stats.ttest_rel(other, own).pvalue)
    assert uniform.difference.same_bits == 3
    assert (reference.missed, uniform.missed) == (0, 3)


def test_energy_aware_stands_against_each_other_policy():
    rows = [
        row("activation-density", 0, 0.5),
        row("uniform", 0, 0.6),
        row("energy-aware", 0, 0.75),
        row("energy-aware", 1, 0.9),
    ]
    rows[1] = dataclasses.replace(rows[1], bits={"a": 4})
    outcome = Outcome("x", "y", tuple(rows))
    found = outcome.versus("energy-aware")
    assert list(found) == [("3 bits", "activation-density"), ("3 bits", "uniform")]
    uniform = found["3 bits", "uniform"]
    assert (uniform.pairs, uniform.same_bits, uniform.p) == (1, 0, None)
    assert uniform.mean == pytest.approx(0.15)
    _, challenger = outcome.tables()
    assert challenger.rows[-1] == ["3 bits", "uniform", "1", "+15.00", "-", "0 of 1"]
    assert len(Outcome("x", "y", tuple(rows[:2])).tables()) == 1


def test_kept_seeds_stay_under_the_same_conditions(tmp_path):
    results, folder = tmp_path / "results", tmp_path / "x"
    folder.mkdir()

    def keep(conditions, *rows):
        outcome = Outcome("x", conditions, rows)
        (folder / "comparison.json").write_text(json.dumps(outcome.to_json()))
        keep_comparison(folder, results, tmp_path / "figures")
        return [(each.seed, each.accuracy) for each in Outcome.read(results / "x.json").rows]

    assert keep("y", row("uniform", 1, 0.5)) == [(1, 0.5)]
    # Another machine's seed comes in front, and a run that was repeated is replaced.
    assert keep("y", row("uniform", 0, 0.6), row("uniform", 1, 0.7)) == [(0, 0.6), (1, 0.7)]
    assert keep("y", row("uniform", 2, 0.8)) == [(0, 0.6), (1, 0.7), (2, 0.8)]
    assert keep("more epochs", row("uniform", 1, 0.9)) == [(1, 0.9)]


def test_cells_of_a_seed_differ_in_policy_and_budget_alone():
    cells = plan(RECIPE, policies=POLICIES, budgets=["3 bits", "4 bits"], seeds=2)
    assert len(cells) == 2 * (2 * 2 + 1)
    assert len({cell.name for cell in cells}) == len(cells)
    assert {cell.seed for cell in cells} == {4, 5}
    shared = [cell.first_iteration for cell in cells if cell.seed == 4 and cell.policy != BASELINE]
    assert all(each == shared[0] for each in shared)
    baseline = next(cell for cell in cells if cell.policy == BASELINE)
    assert baseline.recipe.controller.max_iterations == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"policies": ["best"]}, "policy is 'best'"),
        ({"budgets": []}, "no budget is given"),
        ({"budgets": ["3 bits", "3 bits"]}, "a budget is given twice"),
        ({"budgets": ["3 volts"]}, "budget is '3 volts'"),
        ({"seeds": 0}, "seeds is 0"),
    ],
)
def test_plans_that_are_refused(values, message):
    given = {"policies": POLICIES, "budgets": BUDGETS, "seeds": 1} | values
    with pytest.raises(ConfigError) as caught:
        plan(RECIPE, **given)
    assert message in str(caught.value)


def test_damaged_comparisons(tmp_path):
    with pytest.raises(ComparisonError, match="is not there"):
        Outcome.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(ComparisonError, match="is no comparison, or damaged"):
        Outcome.read(tmp_path / "bad.json")
    cells = plan(RECIPE, policies=POLICIES, budgets=BUDGETS, seeds=1)
    with pytest.raises(ComparisonError, match="no run of the comparison is finished"):
        collect("x", cells, tmp_path)
