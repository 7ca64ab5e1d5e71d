"""Metrics of a run: ``metrics.json``."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from adq.cost.metrics import cost_metrics
from adq.data.provenance import TrainingData
from adq.runs.history import Epoch, summary
from adq.training.config import Recipe
from adq.training.operating_points import OperatingPoint

__all__ = ["TrainedNetwork", "run_metrics"]


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network of a run, as far as its metrics need it."""

    history: Sequence[Epoch]
    converged: bool
    seconds: float
    """Time that training took."""


def run_metrics(
    recipe: Recipe,
    networks: Mapping[str, TrainedNetwork],
    *,
    points: Sequence[OperatingPoint],
    data: TrainingData,
    device: str,
) -> dict[str, Any]:
    """Return the metrics of a run, by its networks: ``mixed``, and ``baseline`` if there is one."""
    metrics: dict[str, Any] = {
        "recipe": dataclasses.asdict(recipe),
        "versions": {name: importlib.metadata.version(name) for name in ("adq", "lightning-fabric")}
        | {"torch": torch.__version__},
        "device": device,
        "data": data.to_json(),
    }
    for name, network in networks.items():
        metrics[name] = {
            **summary(network.history),
            "converged": network.converged,
            "seconds": round(network.seconds, 1),
            **cost_metrics(network.history),
        }
    if "baseline" in networks:
        metrics["accuracy_difference"] = (
            metrics["mixed"]["accuracy"] - metrics["baseline"]["accuracy"]
        )
    metrics["operating_points"] = [each.to_json() for each in points]
    return metrics
