"""Policies by name."""

from collections.abc import Callable

from adq.training.config import ControllerConfig
from adq.training.policies.activation_density import ActivationDensity, Inverse, Random
from adq.training.policies.energy_aware import EnergyAware
from adq.training.policies.policy import Policy
from adq.training.policies.uniform import Uniform

__all__ = ["policy_of"]

_MAKERS: dict[str, Callable[[ControllerConfig], Policy]] = {
    "activation-density": lambda config: ActivationDensity(),
    "uniform": lambda config: Uniform(config.uniform_bits),
    "random": lambda config: Random(),
    "inverse": lambda config: Inverse(),
    "energy-aware": lambda config: EnergyAware(),
}
"""The policies of ``adq.training.config.POLICIES``."""


def policy_of(config: ControllerConfig) -> Policy:
    """Return the policy that a configuration names."""
    return _MAKERS[config.policy](config)
