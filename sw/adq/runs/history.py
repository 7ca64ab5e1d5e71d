"""What an epoch left behind, and what a network's epochs are summed up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch of one network left behind: a line of the history."""

    network: str
    """``mixed`` or ``baseline``."""
    epoch: int
    """Epochs trained, this one included."""
    iteration: int
    """Iteration of the controller, from 1."""
    loss: float
    """Mean cross entropy over the training images."""
    accuracy: float
    """Share of the test images that are classified correctly."""
    density: dict[str, float]
    """Activation density of each layer that has one."""
    bits: dict[str, int]
    """Precision of each layer in this epoch."""
    channels: dict[str, int]
    """Output channels of each layer in this epoch."""
    macs: dict[str, int]
    """Multiply-accumulates of each layer for an image."""
    train_accuracy: float | None = None
    """Share of the training images that were classified correctly, as they were augmented, while
    the network trained on them; None in a history that was written before it was kept."""


def last_of_iterations(history: Sequence[Epoch]) -> list[Epoch]:
    """Return the last epoch of each iteration."""
    return list({epoch.iteration: epoch for epoch in history}.values())


def summary(history: Sequence[Epoch]) -> dict[str, Any]:
    """Result of a network, and what each of its iterations ended with."""
    last = history[-1]
    return {
        "accuracy": last.accuracy,
        "epochs": len(history),
        "bits": last.bits,
        "channels": last.channels,
        "density": last.density,
        "macs": last.macs,
        "iterations": [
            {
                "iteration": each.iteration,
                "epochs": sum(epoch.iteration == each.iteration for epoch in history),
                "accuracy": each.accuracy,
                "density": each.density,
                "bits": each.bits,
                "channels": each.channels,
            }
            for each in last_of_iterations(history)
        ],
    }
