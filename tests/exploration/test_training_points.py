"""Exploration of training: points whose networks are trained by a recipe."""

import json
import statistics

import pytest

from adq.design_result import DesignResult, LayerResult, Method
from adq.energy.coefficients import coefficients_for
from adq.energy.sources import artifact_energy
from adq.explore.exploration import Explorer
from adq.explore.outcome.means import mean_over_seeds
from adq.explore.outcome.store import Store
from adq.explore.space import ExploreError, Space
from adq.explore.trained_networks import TrainedNetwork, trained_networks
from adq.rtl.parameters import TileParameters
from adq.shipped import find_shipped
from adq.training.config import Recipe
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.processes import Processes

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

SPACE = """
objectives = ["energy_pj", "accuracy"]
[axes]
recipe = "compare-digits"
training.epochs = 2
training.warmup_epochs = 0
controller.window = 1
controller.tolerance = 1.0
controller.drift = 1.0
controller.climb = 1.0
controller.settling_epochs = 1
rows = 16
columns = 16
"""
"""Trainings of two epochs, each an iteration: which network they give is all that counts here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


def space(folder, text: str) -> Space:
    path = folder / "space.toml"
    path.write_text(text)
    return Space.read(path)


def explore(folder, text: str, **options):
    with pool_of(workers=1, processes=Processes()) as pool:
        explorer = Explorer(space(folder, text), Store(folder / "cache"), pool, **options)
        return explorer.explore(), explorer


@pytest.fixture(scope="module")
def seeds(folder):
    """Two seeds of a recipe on one tile, and the artifacts that they gave."""
    found, explorer = explore(folder, SPACE + "seeds = 2\n")
    [result] = found.results
    networks = trained_networks(result.point, folder)
    return result, [network.artifact(explorer.trainer.folder) for network in networks], explorer


def test_figures_are_means_over_the_networks_of_the_seeds(seeds):
    result, artifacts, _ = seeds
    assert len(set(artifacts)) == 2
    model = coefficients_for("nangate45", TileParameters(rows=16, columns=16))
    energies = [artifact_energy(path, model, 1) for path in artifacts]
    totals = [each.total("compute_pj") + each.total("load_once_pj") for each in energies]
    assert result.energy_pj == pytest.approx(statistics.fmean(totals))
    accuracies = [
        json.loads((path / "manifest.json").read_text())["generator"]["integer_accuracy"]
        for path in artifacts
    ]
    assert result.accuracy == pytest.approx(statistics.fmean(accuracies))
    assert result.accuracy_deviation == pytest.approx(statistics.stdev(accuracies))
    assert result.network == f"{artifacts[0].parent.name}/artifact"


def test_seeds_count_from_that_of_the_recipe(folder):
    networks = trained_networks(
        {"recipe": "compare-digits", "training.seed": 5, "seeds": 3}, folder
    )
    assert [network.recipe.training.seed for network in networks] == [5, 6, 7]


def test_nothing_is_trained_twice(seeds, folder):
    _, _, explorer = seeds
    assert explorer.trainer.new == 2
    # The same training serves another tile.
    found, again = explore(folder, SPACE.replace("rows = 16", "rows = [16, 32]") + "seeds = 2\n")
    assert (len(found.results), again.new, again.trainer.new) == (2, 1, 0)


def test_iterations_of_one_training_are_networks_of_their_own(seeds, folder):
    found, explorer = explore(folder, SPACE + "iteration = [1, 2, 3]\nseeds = 1\n")
    assert [result.layers[1].activation_bits for result in found.results] == [16, 8]
    [(point, reason)] = found.skipped.items()
    assert point.values["iteration"] == 3
    assert "has the networks of 2 iterations" in reason
    # The run was there; iterations 1 and 2 were exported.
    assert explorer.trainer.new == 2


def test_accuracy_of_a_network_on_a_platform(seeds, folder):
    found, _ = explore(folder, SPACE + "stack = [1, 2]\nseeds = 2\n")
    assert [each.accuracy for each in found.results] == [seeds[0].accuracy] * 2
    assert found.results[0].cycles > 0


def test_a_value_that_a_recipe_refuses_leaves_its_points_out(folder):
    text = SPACE + 'controller.policy = ["unifrm"]\n'
    found, explorer = explore(folder, text)
    [reason] = found.skipped.values()
    assert "policy is 'unifrm': it must be one of" in reason
    assert explorer.trainer.new == 0
    with pytest.raises(ExploreError, match=r"without --strict it is left out"):
        explore(folder, text, strict=True)


def test_nothing_is_trained_for_a_point_that_cannot_be_built(folder):
    text = SPACE.replace("training.epochs = 2", "training.epochs = 3")
    for wrong in ("rows = 0", "rows = 24\nstack = 2", 'rows = 16\nlibrary = "none"'):
        found, _ = explore(folder, text.replace("rows = 16", wrong))
        [(point, _)] = found.skipped.items()
        [network] = trained_networks(point.values, folder)
        assert not (folder / "cache" / "trained" / network.run).exists()
    good_and_bad = text.replace("rows = 16", "rows = [16, 0]")
    with pytest.raises(ExploreError, match=r"without --strict it is left out"):
        explore(folder, good_and_bad, strict=True)
    assert not (folder / "cache" / "trained" / network.run).exists()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        # A budget that leaves no epoch to lower bits in, and a batch of one image.
        ('controller.budget = "100 nJ/image"\ntraining.epochs = 1', "settling_epochs"),
        ("training.epochs = 2\ndata.train_images = 1", "needs 2 at least"),
    ],
)
def test_a_training_that_fails_leaves_its_points_out(folder, wrong, reason):
    found, _ = explore(folder, SPACE.replace("training.epochs = 2", wrong))
    [told] = found.skipped.values()
    assert reason in told


def test_a_budget_that_cannot_be_met_leaves_its_points_out(folder):
    found, _ = explore(folder, SPACE + 'controller.budget = "0.1 nJ/image"\n')
    [reason] = found.skipped.values()
    assert "budget" in reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPACE + 'network = "vgg9"', "axis network is of spaces with a network"),
        (SPACE + "bits = 4", "axis bits is of spaces with a network"),
        (SPACE + "training.baseline = true", "unknown axis 'training.baseline'"),
        (SPACE + "controller.polcy = 1", "unknown axis 'controller.polcy'; did you mean"),
        (SPACE + 'training.seed = "a"', "training.seed has the value 'a': it must be an integer"),
        ('[axes]\nnetwork = "vgg9"\nseeds = 3', "axis seeds is of spaces with a recipe"),
        (
            '[axes]\nnetwork = "vgg9"\ntraining.epochs = 3',
            "axis training.epochs is of spaces with a recipe",
        ),
        ("[axes]\nrows = 16", "has no network: .* or recipe in place of network"),
    ],
)
def test_a_space_with_a_mistake_is_refused(folder, text, message):
    with pytest.raises(ExploreError, match=message):
        space(folder, text)


def test_a_recipe_that_is_not_there_is_refused_before_anything_is_trained(folder):
    with pytest.raises(ExploreError, match=r"axis recipe: .*gone: no such file"):
        explore(folder, SPACE.replace("compare-digits", "gone"))


@pytest.mark.parametrize("name", ["seeds", "iteration"])
def test_counts_below_one_are_refused(folder, name):
    found, _ = explore(folder, SPACE + f"{name} = 0\n")
    assert list(found.skipped.values()) == [f"{name} is 0: it must be at least 1"]


def test_too_many_seeds_are_refused(folder):
    found, _ = explore(folder, SPACE + "seeds = 1_000_000_000\n")
    assert list(found.skipped.values()) == ["seeds is 1000000000: it must be at most 1,000"]


def test_a_run_has_a_name_for_each_recipe_and_an_artifact_for_each_iteration(tmp_path):
    recipe = Recipe.from_toml(find_shipped("train", "digits"))
    other = Recipe.from_toml(find_shipped("train", "digits"), ["training.seed=1"])
    last, first = TrainedNetwork(recipe), TrainedNetwork(recipe, 1)
    assert last.run == first.run != TrainedNetwork(other).run
    assert last.artifact(tmp_path) != first.artifact(tmp_path)


def test_means_by_hand():
    def result(energy, accuracy, blocks, cycles):
        layer = LayerResult(
            name="conv",
            macs=9,
            weight_bits=2,
            activation_bits=int(energy),
            cycles=cycles,
            compute_pj=energy,
            load_pj=1.0,
            blocks_pj=blocks,
        )
        return DesignResult(
            network="n",
            method=Method.PREDICTED,
            tile={},
            library="nangate45",
            compute_pj=energy,
            load_pj=1.0,
            cycles=cycles,
            accuracy=accuracy,
            layers=(layer,),
        )

    one = result(3.0, 0.5, {"adders": 2.0, "control": 1.0}, 10)
    other = result(5.0, 0.75, {"adders": 4.0}, 20)
    mean = mean_over_seeds([one, other])
    assert (mean.energy_pj, mean.cycles, mean.accuracy) == (5.0, 15, 0.625)
    assert mean.accuracy_deviation == pytest.approx(0.25 / 2**0.5)
    [layer] = mean.layers
    assert layer.blocks_pj == {"adders": 3.0, "control": 0.5}
    assert (layer.activation_bits, layer.compute_pj, layer.cycles) == (3, 4.0, 15)
    assert mean_over_seeds([one]) == one
    # One network without an accuracy leaves the mean without one.
    unknown = mean_over_seeds([one, result(5.0, None, {}, 20)])
    assert (unknown.accuracy, unknown.accuracy_deviation) == (None, None)
    assert DesignResult.from_json(mean.to_json()) == mean
    # A result that was written before there were seeds.
    before = {key: value for key, value in one.to_json().items() if key != "accuracy_deviation"}
    assert DesignResult.from_json(before) == one
