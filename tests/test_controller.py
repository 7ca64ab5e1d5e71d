"""The controller against tables worked out by hand."""

import pytest

from adq.config import ControllerConfig
from adq.controller import Controller, Decision, next_bits

LAYERS = ("first", "middle", "other", "last")


def controller(**config) -> Controller:
    return Controller(LAYERS, ControllerConfig(**{"window": 2, "settling_epochs": 1, **config}))


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
def test_next_bits(bits, density, expected):
    assert next_bits(bits, density, 2) == expected


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
    for density, decision, bits in observed:
        assert control.observe(density, remaining_epochs=100) is decision
        assert (control.bits["middle"], control.bits["other"]) == bits
    assert control.iteration == 3
    assert control.bits["first"] == control.bits["last"] == 16


def test_every_layer_must_have_saturated_the_first_included():
    control = controller(tolerance=0.02)
    for first in (0.50, 0.53, 0.56):
        assert control.observe(densities(0.5, 0.5, first), 100) is Decision.CONTINUE
    assert control.observe(densities(0.5, 0.5, 0.56), 100) is Decision.LOWER


def test_a_window_does_not_reach_into_the_iteration_before():
    control = controller(window=3)
    decisions = [control.observe(densities(0.5, 0.5), 100) for _ in range(6)]
    assert [each is Decision.LOWER for each in decisions] == [False, False, True] * 2


def test_stops_at_the_most_iterations():
    control = controller(window=1, max_iterations=2)
    decisions = [control.observe(densities(0.5, 0.5), 100) for _ in range(3)]
    assert decisions == [Decision.LOWER, Decision.CONTINUE, Decision.CONTINUE]
    assert control.bits["middle"] == 8
    assert not control.converged


def test_leaves_the_last_iteration_its_epochs():
    control = controller(window=1, settling_epochs=5)
    assert control.observe(densities(0.5, 0.5), remaining_epochs=4) is Decision.CONTINUE
    assert control.observe(densities(0.5, 0.5), remaining_epochs=5) is Decision.LOWER


def test_minimum_bits():
    control = controller(window=1, minimum_bits=5)
    control.observe(densities(0.1, 0.4), 100)
    assert (control.bits["middle"], control.bits["other"]) == (5, 6)  # 1.6, 6.4
