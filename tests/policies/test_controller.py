"""The controller against tables worked out by hand."""

import pytest

from adq.training.config import ControllerConfig
from adq.training.controller import Controller, Decision, scaled


class Network:
    """Stands for a prepared network of five layers, one of them on a skip connection."""

    def __init__(self, bits: int = 16):
        self.bits = dict.fromkeys(("first", "middle", "shortcut", "other", "last"), bits)
        self.channels = {"first": 20, "middle": 30, "shortcut": 40, "other": 40, "last": 10}
        self.followers = {"shortcut": "other"}
        self.groups = (("first",), ("middle",), ("shortcut", "other"))
        self.layers = tuple(self.bits)
        self.optimizer = None

    def set_bits(self, bits):
        self.bits = dict(bits)

    def prune(self, channels, optimizer):
        self.channels = {**self.channels, **channels}
        self.optimizer = optimizer


def controller(bits: int = 16, **config) -> Controller:
    config = {"window": 2, "settling_epochs": 1, **config}
    return Controller(Network(bits), ControllerConfig(**config))


def densities(middle: float, other: float, first: float = 0.5) -> dict[str, float]:
    return {"first": first, "middle": middle, "other": other}


@pytest.mark.parametrize(
    ("bits", "density", "expected"),
    [
        (16, 1.0, 16),
        (16, 0.5, 8),
        (16, 0.44, 7),  # 7.04
        (16, 0.47, 8),  # 7.52
        (16, 0.53125, 9),  # 8.5: halves go up
        (8, 0.3125, 3),  # 2.5
        (4, 0.63, 3),  # 2.52
        (3, 0.84, 3),  # 2.52: too dense to lose a bit
        (3, 0.83, 2),  # 2.49
        (4, 0.1, 2),  # 0.4: not below the minimum
        (2, 0.0, 2),
    ],
)
def test_bits_times_density(bits, density, expected):
    assert scaled(bits, density, 2) == expected


@pytest.mark.parametrize(("channels", "expected"), [(64, 26), (16, 8), (8, 8), (5, 5)])
def test_channels_times_density_stay_above_the_minimum_unless_they_were_below(channels, expected):
    assert scaled(channels, 0.4, 8) == expected  # 25.6, 6.4, 3.2, 2


def test_iterates_until_density_calls_for_no_fewer_bits():
    control = controller()
    observed = [
        # densities of an epoch, what follows from it, bits of the two middle layers after it
        (densities(0.50, 0.90), Decision.CONTINUE, (16, 16)),
        (densities(0.50, 0.91), Decision.LOWER, (8, 15)),  # 8.0, 14.56
        (densities(0.45, 0.97), Decision.CONTINUE, (8, 15)),
        (densities(0.44, 0.98), Decision.LOWER, (4, 15)),  # 3.52, 14.7
        (densities(0.90, 0.97), Decision.CONTINUE, (4, 15)),
        (densities(0.90, 0.98), Decision.CONVERGED, (4, 15)),  # 3.6, 14.7
        (densities(0.10, 0.10), Decision.CONTINUE, (4, 15)),
        (densities(0.10, 0.10), Decision.CONTINUE, (4, 15)),
    ]
    bits = control.prepared.bits
    for density, decision, expected in observed:
        assert control.step(density, remaining_epochs=100) is decision
        bits = control.prepared.bits
        assert (bits["middle"], bits["other"]) == expected
        assert bits["shortcut"] == bits["other"]
    assert control.iteration == 3
    assert control.converged
    assert bits["first"] == bits["last"] == 8
    assert control.prepared.channels == Network().channels


def test_every_layer_must_have_saturated_the_first_included():
    control = controller(tolerance=0.02)
    for first in (0.50, 0.53, 0.56):
        assert control.step(densities(0.5, 0.5, first)) is Decision.CONTINUE
    assert control.step(densities(0.5, 0.5, 0.56)) is Decision.LOWER


def test_a_window_does_not_reach_into_the_iteration_before():
    control = controller(window=3)
    decisions = [control.step(densities(0.5, 0.5)) for _ in range(6)]
    assert [each is Decision.LOWER for each in decisions] == [False, False, True] * 2


def test_stops_at_the_most_iterations():
    control = controller(window=1, max_iterations=2)
    decisions = [control.step(densities(0.5, 0.5)) for _ in range(3)]
    assert decisions == [Decision.LOWER, Decision.CONTINUE, Decision.CONTINUE]
    assert control.prepared.bits["middle"] == 8
    assert not control.converged


def test_leaves_the_last_iteration_its_epochs():
    control = controller(window=1, settling_epochs=5)
    assert control.step(densities(0.5, 0.5), remaining_epochs=4) is Decision.CONTINUE
    assert control.step(densities(0.5, 0.5), remaining_epochs=5) is Decision.LOWER


def test_minimum_bits():
    control = controller(window=1, minimum_bits=5)
    control.step(densities(0.1, 0.4))
    assert control.prepared.bits["middle"] == 5  # 1.6
    assert control.prepared.bits["other"] == 6  # 6.4


def test_prunes_and_lowers_bits_in_the_same_iteration():
    control = controller(window=1, pruning=True, minimum_channels=8)
    optimizer = object()
    assert control.step(densities(0.5, 0.3, 0.9), optimizer=optimizer) is Decision.LOWER
    network = control.prepared
    # The first layer keeps its bits and loses channels; the last keeps both.
    assert network.bits == {"first": 8, "middle": 8, "shortcut": 5, "other": 5, "last": 8}
    assert network.channels["first"] == 18
    assert network.channels["middle"] == 15
    # The layers that share channels are asked for them once, the first of them by name.
    assert network.channels["shortcut"] == 12
    assert network.channels["last"] == 10
    assert network.optimizer is optimizer


def test_prunes_only_in_the_first_iterations_if_so_asked():
    control = controller(window=1, pruning=True, pruning_iterations=1)
    control.step(densities(0.5, 0.5))
    channels = control.prepared.channels
    assert channels["middle"] == 15
    assert control.step(densities(0.5, 0.5)) is Decision.LOWER
    assert control.prepared.channels == channels


def test_a_layer_keeps_its_least_share_however_low_its_density():
    control = controller(window=1, pruning=True, minimum_kept=0.75)
    control.step(densities(0.5, 0.3, 0.9))
    channels = control.prepared.channels
    assert channels == {"first": 18, "middle": 23, "shortcut": 30, "other": 40, "last": 10}
    assert control.prepared.bits["middle"] == 8  # bits follow the density alone


def test_goes_on_from_its_state():
    control = controller(window=3)
    control.step(densities(0.5, 0.5))
    control.step(densities(0.5, 0.51))
    other = controller(window=3)
    other.load_state_dict(control.state_dict())
    assert other.step(densities(0.5, 0.5)) is Decision.LOWER
    state = other.state_dict()
    assert (state["iteration"], state["converged"], state["window"]) == (2, False, [])
