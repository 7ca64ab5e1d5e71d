"""Metrics of made-up runs."""

import dataclasses

from adq.training.config import Recipe, TrainingConfig

FIGURES = {"mac_reduction": 4.8765, "training_complexity": 0.4321, "pim_energy_reduction": 12.34}


def network(accuracy: float, *, seconds: float, **figures) -> dict:
    iteration = {
        "iteration": 1,
        "epochs": 2,
        "accuracy": accuracy,
        "bits": {"conv1": 16, "conv2": 3},
        "channels": {"conv1": 32, "conv2": 64},
        "density": {"conv1": 0.5261, "conv2": 0.41},
    }
    return {"accuracy": accuracy, "seconds": seconds, "iterations": [iteration], **figures}


def metrics(recipe: Recipe | None = None) -> dict:
    """Results of a finished run with a baseline."""
    return {
        "recipe": dataclasses.asdict(recipe or Recipe(training=TrainingConfig(epochs=3))),
        "versions": {"torch": "2.0"},
        "device": "CPU",
        "mixed": network(0.725, seconds=75.0, **FIGURES),
        "baseline": network(0.7312, seconds=30.0),
    }


def history(epochs: int) -> list[dict]:
    """Lines of a history of the mixed network."""
    return [
        {
            "network": "mixed",
            "epoch": number,
            "iteration": 1,
            "loss": 1.0 / number,
            "accuracy": 0.5,
            "density": {"conv1": 0.5},
            "bits": {"conv1": 16, "conv2": 3},
            "channels": {"conv1": 32, "conv2": 64},
            "macs": {"conv1": 1000, "conv2": 2000},
        }
        for number in range(1, epochs + 1)
    ]
