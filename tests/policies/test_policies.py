"""Policies, budgets and sensitivities on networks where the right answer is known."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import adq
from adq.fields import ConfigError
from adq.training.config import ControllerConfig
from adq.training.controller import Controller, Decision
from adq.training.policies import costs
from adq.training.policies.activation_density import ActivationDensity, Inverse, Random
from adq.training.policies.budget import Budget
from adq.training.policies.costs import cost_tables, network_costs
from adq.training.policies.energy_aware import EnergyAware
from adq.training.policies.limit import Limit
from adq.training.policies.policy import Observation, PolicyError
from adq.training.policies.sensitivity import loss_increases
from adq.training.policies.uniform import Uniform
from adq.training.recording.measurements import Measurements
from adq.training.saturation import has_saturated
from adq.verif.operands.features import features_of

pytestmark = pytest.mark.testpoint(reason="policies of training: nothing of the hardware")

LAYERS = ("a", "b", "c", "d")
DENSITIES = {"a": 0.9, "b": 0.5, "c": 0.3, "d": 0.7}


def squares(weights: dict[str, float], target: float, fixed: float = 0.0) -> Limit:
    """Costs of weight * k * k a layer."""
    costs = {name: {k: w * k * k for k in range(2, 17)} for name, w in weights.items()}
    return Limit(costs=costs, fixed=fixed, target=target)


def observation(bits: int = 16, **more) -> Observation:
    return Observation(
        bits=dict.fromkeys(LAYERS, bits), densities=DENSITIES, minimum_bits=2, **more
    )


def test_activation_density_is_the_papers_product():
    # 14.4, 8.0, 4.8, 11.2
    assert ActivationDensity().bits(observation()) == {"a": 14, "b": 8, "c": 5, "d": 11}


def test_controls_deal_the_same_bits_to_other_layers():
    own = ActivationDensity().bits(observation())
    assert Inverse().bits(observation()) == {"a": 5, "b": 11, "c": 14, "d": 8}
    dealt = [Random().bits(observation(seed=seed)) for seed in range(20)]
    assert all(sorted(each.values()) == sorted(own.values()) for each in dealt)
    assert len({tuple(each.values()) for each in dealt}) > 5
    assert Random().bits(observation(seed=3)) == dealt[3]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_random_never_is_the_papers_rule(count):
    densities = dict(itertools.islice(DENSITIES.items(), count))
    bits = dict.fromkeys(densities, 16)
    now = Observation(bits=bits, densities=densities, minimum_bits=2)
    own = ActivationDensity().bits(now)
    dealt = [Random().bits(dataclasses.replace(now, seed=seed)) for seed in range(200)]
    assert own not in dealt
    others = set(itertools.permutations(own.values())) - {tuple(own.values())}
    assert {tuple(each.values()) for each in dealt} == others


def test_random_has_nothing_to_deal_to_one_layer():
    now = Observation(bits={"a": 16}, densities={"a": 0.5}, minimum_bits=2)
    assert Random().bits(now) == {"a": 8}


def test_a_layer_without_a_density_keeps_its_bits():
    now = Observation(bits={"a": 16, "x": 16}, densities={"a": 0.5}, minimum_bits=2)
    for policy in (ActivationDensity(), Inverse(), Random()):
        assert policy.bits(now) == {"a": 8, "x": 16}


def test_uniform():
    now = Observation(bits={"a": 16, "b": 3}, densities={}, minimum_bits=2)
    assert Uniform(4).bits(now) == {"a": 4, "b": 3}


def test_paths_fall_from_the_present_bits_to_the_least():
    now = observation(limit=squares(dict.fromkeys(LAYERS, 1.0), 100))
    for policy in (ActivationDensity(), Inverse(), Random(), Uniform(4)):
        steps = list(policy.path(now))
        assert steps[0] == now.bits
        assert set(steps[-1].values()) == {2}
        for before, after in itertools.pairwise(steps):
            assert all(after[name] <= before[name] for name in LAYERS)
    together = list(ActivationDensity().path(now))
    assert ActivationDensity().bits(now) in together


def brute_force(limit: Limit, losses, layers) -> float:
    """Least loss of all assignments that cost no more than the target."""
    return min(
        sum(losses[name][k] for name, k in zip(layers, ks, strict=True))
        for ks in itertools.product(range(2, 9), repeat=len(layers))
        if limit.cost(dict(zip(layers, ks, strict=True))) <= limit.target
    )


@pytest.mark.parametrize("seed", range(5))
def test_energy_aware_finds_the_least_loss_of_all_assignments(seed):
    rng = np.random.default_rng(seed)
    layers = LAYERS[:3]
    weights = {name: float(rng.uniform(1, 10)) for name in layers}
    limit = squares(weights, target=float(rng.uniform(150, 400)), fixed=10.0)
    losses = {
        name: dict(zip(range(2, 9), np.sort(rng.exponential(size=7))[::-1].tolist(), strict=True))
        for name in layers
    }
    now = Observation(
        bits=dict.fromkeys(layers, 8), densities={}, minimum_bits=2, limit=limit, losses=losses
    )
    (found,) = EnergyAware().path(now)
    assert limit.cost(found) <= limit.target
    loss = sum(losses[name][found[name]] for name in layers)
    least = brute_force(limit, losses, layers)
    # Energy is rounded up to one of 4,000 steps: the target may be missed by three of them.
    assert (
        least
        <= loss
        <= brute_force(
            Limit(costs=limit.costs, fixed=10.0, target=limit.target * 0.999), losses, layers
        )
    )


def test_energy_aware_lowers_what_is_dear_and_insensitive():
    limit = squares({"a": 1.0, "b": 100.0, "c": 1.0, "d": 100.0}, target=2000.0)
    losses = {
        name: {k: scale * 2.0**-k for k in range(2, 17)}
        for name, scale in {"a": 1.0, "b": 0.01, "c": 1.0, "d": 1.0}.items()
    }
    bits = next(EnergyAware().path(observation(limit=limit, losses=losses)))
    assert bits["b"] < bits["d"] < bits["a"] == bits["c"]


def test_energy_aware_without_a_budget_keeps_a_quarter():
    limit = squares(dict.fromkeys(LAYERS, 1.0), target=50.0, fixed=50.0)
    losses = {name: {k: 2.0**-k for k in range(2, 17)} for name in LAYERS}
    bits = EnergyAware().bits(observation(limit=limit, losses=losses))
    assert bits == dict.fromkeys(LAYERS, 8)


@pytest.mark.parametrize("policy", [ActivationDensity(), Inverse(), Random(), Uniform(4)])
@pytest.mark.parametrize("target", [60.0, 111.0, 300.0, 777.0])
def test_the_assignment_nearest_to_a_budget_is_within_five_percent(policy, target):
    limit = squares({"a": 1.0, "b": 1.7, "c": 0.6, "d": 2.2}, target=target)
    now = observation(limit=limit)
    found = limit.nearest(policy.path(now), minimum=2, maximum=16)
    assert limit.distance(found) <= 0.05
    assert all(2 <= k <= 16 for k in found.values())


def test_a_path_that_meets_the_budget_is_taken_as_it_is():
    limit = squares(dict.fromkeys(LAYERS, 1.0), target=4 * 25.0)
    found = limit.nearest(Uniform(4).path(observation(limit=limit)), minimum=2, maximum=16)
    assert set(found.values()) == {5}


@pytest.mark.parametrize(
    ("text", "quantity", "amount"),
    [
        ("5 nJ/image", "energy", 5000.0),
        ("1.5uJ/image", "energy", 1.5e6),
        ("1.5 \N{MICRO SIGN}J/image", "energy", 1.5e6),
        ("20 kcycles/image", "cycles", 20000.0),
        ("2.5 bits", "average_bits", 2.5),
        ("1e2 Mbitops/image", "bit_operations", 1e8),
    ],
)
def test_budgets(text, quantity, amount):
    budget = Budget.parse(text)
    assert (budget.quantity, budget.amount) == (quantity, pytest.approx(amount))
    assert Budget.parse(budget.shown(amount)) == budget


@pytest.mark.parametrize("text", ["5", "nJ/image", "5 J", "-5 nJ/image", "0 bits", "1e999 bits"])
def test_budgets_that_are_none(text):
    with pytest.raises(ConfigError, match="budget is"):
        ControllerConfig(budget=text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"policy": "ad"}, "policy is 'ad': it must be one of activation-density"),
        ({"policy": "energy-aware", "tile": ""}, "tile is empty, and policy 'energy-aware' needs"),
        ({"budget": "5 nJ/image", "tile": ""}, "tile is empty, and budget '5 nJ/image' needs"),
        ({"budget": "3 bits", "max_iterations": 1}, "allow 2 iterations at least"),
        (
            {"budget": "3 bits", "policy": "uniform", "uniform_start": "first-epoch"},
            "give uniform_bits instead of a budget",
        ),
    ],
)
def test_configurations_that_contradict_themselves(values, message):
    with pytest.raises(ConfigError) as caught:
        ControllerConfig(**values)
    assert message in str(caught.value)


def test_saturation_is_not_drift_and_not_the_climb():
    config = ControllerConfig(window=4, tolerance=0.02, drift=0.01, climb=0.02)

    def saturated(values, accuracies=()):
        return has_saturated([{"a": each} for each in values], accuracies, config)

    assert saturated([0.50, 0.51, 0.50, 0.51])
    assert not saturated([0.50, 0.53, 0.50, 0.53])  # spread
    assert not saturated([0.500, 0.504, 0.508, 0.512])  # drift of 0.012 within the spread
    assert saturated([0.500, 0.503, 0.506, 0.509])  # 0.009
    assert not saturated([0.5] * 4, [0.3, 0.4, 0.5, 0.6])
    assert saturated([0.5] * 4, [0.90, 0.92, 0.94, 0.95])
    assert not saturated([0.5] * 3)


class Two(nn.Module):
    """Three convolutions and a linear layer; the second convolution is the widest."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.wide = nn.Conv2d(8, 16, 3, padding=1)
        self.thin = nn.Conv2d(16, 4, 1)
        self.last = nn.Linear(4 * 36, 3)

    def forward(self, x):
        for layer in (self.first, self.wide, self.thin):
            x = functional.relu(layer(x))
        return self.last(x.flatten(1))


@pytest.fixture(scope="module")
def samples():
    torch.manual_seed(7)
    return torch.randn(32, 1, 6, 6), torch.randint(3, (32,))


@pytest.fixture
def prepared(samples):
    torch.manual_seed(1)
    prepared = adq.prepare(Two(), samples[0][:1])
    prepared.model.train()
    prepared.model(samples[0])
    return prepared


def test_costs_by_arithmetic(prepared):
    macs = {"first": 36 * 72, "wide": 36 * 8 * 9 * 16, "thin": 36 * 64, "last": 432}
    products = cost_tables(prepared, "bit_operations")
    assert products["wide"][5] == macs["wide"] * 25
    bits = cost_tables(prepared, "average_bits")
    assert sum(bits[name][3] for name in macs) == pytest.approx(3)
    assert bits["thin"][16] == pytest.approx(16 * macs["thin"] / sum(macs.values()))


def test_energy_tables_agree_with_the_network_at_those_bits_and_leave_it_alone(prepared, samples):
    measurements = Measurements(*samples)
    before = {name: value.clone() for name, value in prepared.model.named_parameters()}
    densities = prepared.density_counts()
    tables = cost_tables(prepared, "energy", tile=measurements.tile, images=samples[0])
    assert prepared.bits == dict.fromkeys(prepared.layers, 16)
    assert all(torch.equal(before[name], p) for name, p in prepared.model.named_parameters())
    assert prepared.density_counts() == densities
    for table in tables.values():
        assert list(table.values()) == sorted(table.values())
    now = network_costs(prepared, samples[0], measurements.tile)
    for name, cost in now.items():
        assert tables[name][16] == pytest.approx(cost.energy, rel=1e-6)
    # 64 products of single bits become 4.
    assert 5 < tables["wide"][8] / tables["wide"][2] < 30


@pytest.mark.parametrize(
    ("outputs", "inputs", "limit"),
    [
        (24, 100, 2**13),  # jobs of two row blocks, one of every five counted
        (40, 700, 2**15),  # more row blocks than a job takes
        (24, 100, 1),  # a single job
    ],
)
def test_some_jobs_stand_for_all(monkeypatch, outputs, inputs, limit):
    torch.manual_seed(0)
    images = torch.rand(8, inputs, 8, 8)
    layer = nn.Conv2d(inputs, outputs, 1)
    prepared = adq.prepare(nn.Sequential(layer, nn.Flatten()), images)
    prepared.model.train()(images)
    prepared.model.eval()
    tile = Measurements(images, torch.zeros(8, dtype=torch.long)).tile
    counted = []

    def counting(parameters, jobs):
        counted.append(len(jobs))
        return features_of(parameters, jobs)

    monkeypatch.setattr(costs, "features_of", counting)
    whole = network_costs(prepared, images, tile)["0"]
    monkeypatch.setattr(costs, "PLANES", limit)
    part = network_costs(prepared, images, tile)["0"]
    assert 0 < counted[1] < counted[0]
    assert part.energy != whole.energy
    assert part.energy == pytest.approx(whole.energy, rel=0.03)
    assert part.cycles == pytest.approx(whole.cycles, rel=0.03)


def test_the_loss_of_a_layer_at_fewer_bits(samples):
    torch.manual_seed(1)
    network = Two()
    images, labels = samples
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    prepared = adq.prepare(network, images[:1])
    prepared.model.train()
    prepared.model(images)
    state = copy.deepcopy(prepared.model.state_dict())
    units = {"wide": ("wide",), "thin": ("thin",)}
    found = loss_increases(prepared, images, labels, units)
    after = prepared.model.state_dict()
    assert all(torch.equal(v, after[name]) for name, v in state.items() if torch.is_tensor(v))

    def loss() -> float:
        prepared.model.eval()
        with torch.no_grad():
            return functional.cross_entropy(prepared.model(images), labels).item()

    base = loss()
    for name, losses in found.items():
        assert list(losses.values()) == sorted(losses.values(), reverse=True)
        prepared.set_bits({"wide": 16, "thin": 16} | {name: 2})
        prepared.model.train()
        prepared.model(images)  # finds ranges
        assert losses[2] == pytest.approx(max(loss() - base, losses[3]), rel=1e-3)
    assert max(found["wide"][2], found["thin"][2]) > 1e-5


@pytest.mark.parametrize("policy", ["activation-density", "uniform", "inverse", "energy-aware"])
def test_a_controller_ends_within_five_percent_of_its_budget(prepared, samples, policy):
    measurements = Measurements(*samples)
    full = sum(each.energy for each in measurements.costs(prepared).values())
    budget = 0.3 * full
    config = ControllerConfig(
        policy=policy, budget=f"{budget:.1f} pJ/image", window=1, settling_epochs=1,
        first_bits=8, last_bits=8,
    )  # fmt: skip
    control = Controller(prepared, config, measurements=measurements)
    densities = {"first": 0.5, "wide": 0.6, "thin": 0.4}
    for remaining in range(5, 0, -1):
        control.step(densities, remaining_epochs=remaining)
        prepared.model(samples[0])  # finds ranges
    assert control.converged
    cost = sum(each.energy for each in measurements.costs(prepared).values())
    assert cost == pytest.approx(budget, rel=0.05)
    assert prepared.bits["first"] == prepared.bits["last"] == 8


def test_a_budget_is_met_at_the_last_chance_though_densities_still_move(prepared):
    config = ControllerConfig(budget="4 bits", window=3, settling_epochs=2)
    control = Controller(prepared, config)
    decisions = [
        control.step(
            {"first": 0.5, "wide": 0.3 + 0.1 * epoch, "thin": 0.5}, remaining_epochs=5 - epoch
        )
        for epoch in range(5)
    ]
    assert decisions.index(Decision.LOWER) == 3
    macs, bits = prepared.macs, prepared.bits
    average = sum(macs[name] * bits[name] for name in macs) / sum(macs.values())
    assert average == pytest.approx(4, rel=0.05)


def test_a_budget_that_cannot_be_met(prepared):
    config = ControllerConfig(
        budget="2.1 bits", window=1, settling_epochs=1, first_bits=16, last_bits=16
    )
    control = Controller(prepared, config)
    with pytest.raises(PolicyError, match=r"2\.1 bits cannot be met: at 2 bits the network takes"):
        control.check_budget()
    with pytest.raises(PolicyError, match="raise the budget, or lower first_bits"):
        control.step({"first": 0.5, "wide": 0.5, "thin": 0.5}, remaining_epochs=1)


def test_a_policy_that_has_nothing_to_measure_with(prepared):
    for values in ({"policy": "energy-aware"}, {"budget": "5 nJ/image"}):
        with pytest.raises(PolicyError, match=r"needs a tile and sample images: give measure"):
            Controller(prepared, ControllerConfig(**values))


def test_no_training_batch_since_the_last_step(prepared):
    control = Controller(prepared, ControllerConfig(window=1))
    control.step()
    with pytest.raises(PolicyError, match="no activation density: run training batches"):
        control.step()
    assert not control.converged


@pytest.mark.parametrize("density", [float("nan"), -0.1, 1.5])
def test_a_density_that_is_no_share(prepared, density):
    control = Controller(prepared, ControllerConfig(window=1))
    with pytest.raises(PolicyError, match=r"the density of wide is .*: it must be 0 to 1"):
        control.step({"first": 0.5, "wide": density, "thin": 0.5})
    assert prepared.bits["wide"] == 16


def test_densities_of_other_layers(prepared):
    control = Controller(prepared, ControllerConfig(window=2))
    control.step({"first": 0.5, "wide": 0.5})
    with pytest.raises(PolicyError, match="those of the same layers in every step"):
        control.step({"first": 0.5})


def test_bits_return_where_an_iteration_lost_too_much(prepared):
    config = ControllerConfig(window=1, settling_epochs=1, accuracy_loss=0.05)
    control = Controller(prepared, config)
    density = {"first": 0.5, "wide": 0.5, "thin": 0.5}
    seen = []
    for accuracy in (0.90, 0.88, 0.80, 0.95):
        decision = control.step(density, remaining_epochs=50, accuracy=accuracy)
        seen.append((decision, prepared.bits["wide"]))
    assert seen == [
        (Decision.LOWER, 8),
        (Decision.LOWER, 4),
        (Decision.RETURN, 8),
        (Decision.CONTINUE, 8),
    ]


def test_uniform_from_the_first_epoch(prepared):
    config = ControllerConfig(
        policy="uniform", uniform_bits=3, uniform_start="first-epoch", first_bits=8, last_bits=8
    )
    Controller(prepared, config)
    assert list(prepared.bits.values()) == [8, 3, 3, 8]


def test_half_precision_leaves_integers_of_16_bits_alone(prepared, samples):
    expected = prepared.model.eval()(samples[0])
    with torch.autocast("cpu", dtype=torch.float16):
        found = prepared.model(samples[0])
    assert torch.equal(found, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = prepared.model(samples[0])
    assert not torch.equal(other.float(), expected)


def test_a_prepared_network_as_a_table(prepared):
    prepared.set_bits({"wide": 4})
    assert str(prepared).splitlines() == [
        "layer  bits  channels    MACs",
        "first    16         8   2,592",
        "wide      4        16  41,472",
        "thin     16         4   2,304",
        "last     16         3     432",
    ]
