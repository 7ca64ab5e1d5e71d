"""Saturation: whether an iteration has shown what its densities are.

Over the last ``window`` epochs, each density must stay within ``tolerance``, and must not drift: a
straight line through it, from three epochs on, must not rise or fall by more than ``drift``. The
accuracy must have left its initial climb: it must not rise by more than ``climb`` an epoch in the
mean of the window.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from adq.training.config import ControllerConfig

__all__ = ["has_saturated"]


def has_saturated(
    densities: Sequence[Mapping[str, float]],
    accuracies: Sequence[float],
    config: ControllerConfig,
) -> bool:
    """Return whether the densities of an iteration have saturated.

    Parameters
    ----------
    densities, accuracies
        Of each epoch of the iteration so far, or of the last ``window`` of them; ``accuracies`` is
        empty where none are known.

    """
    window = config.window
    if len(densities) < window:
        return False
    recent = np.array([list(each.values()) for each in densities[-window:]])  # (window, layers)
    if (np.ptp(recent, axis=0) > config.tolerance).any():
        return False
    if window > 2:  # a line through two points says nothing about noise
        time = np.arange(window) - (window - 1) / 2
        slopes = time @ recent / (time @ time)
        if (np.abs(slopes) * (window - 1) > config.drift).any():
            return False
    if window == 1 or len(accuracies) < window:
        return True
    return bool((accuracies[-1] - accuracies[-window]) / (window - 1) <= config.climb)
