"""Types and ranges of what training writes: metrics, the history's lines, kept results."""

from typing import Any

from adq.golden.files.json_reader import Schema

__all__ = ["EPOCH", "EPOCH_SCHEMA", "METRICS", "RESULT", "layers"]

SHARE = {"type": "number", "minimum": 0, "maximum": 1}
COUNT = {"type": "integer", "minimum": 0}
RATIO = {"type": "number", "minimum": 0}
BITS = {"type": "integer", "minimum": 1, "maximum": 32}
CHANNELS = {"type": "integer", "minimum": 1, "maximum": 2**24}


def layers(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has a value for each layer."""
    return {"type": "object", "additionalProperties": value}


_BY_LAYER = {
    "bits": layers(BITS),
    "channels": layers(CHANNELS),
    "density": layers(SHARE),
    "macs": layers(COUNT),
}

EPOCH_SCHEMA = {
    "type": "object",
    "required": ["network", "epoch", "iteration", "loss", "accuracy", "bits", "channels"],
    "properties": {
        "network": {"enum": ["mixed", "baseline"]},
        "epoch": COUNT,
        "iteration": COUNT,
        "loss": {"type": "number"},
        "accuracy": SHARE,
        "train_accuracy": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        **_BY_LAYER,
    },
}

_NETWORK = {
    "type": "object",
    "required": ["accuracy", "seconds"],
    "properties": {
        "accuracy": SHARE,
        "epochs": COUNT,
        **_BY_LAYER,
        "iterations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["iteration", "epochs", "accuracy", "density", "bits", "channels"],
                "properties": {
                    "iteration": COUNT,
                    "epochs": COUNT,
                    "accuracy": SHARE,
                    **_BY_LAYER,
                },
            },
        },
        "converged": {"type": "boolean"},
        "seconds": RATIO,
        "mac_reduction": RATIO,
        "bit_operation_reduction": RATIO,
        "pim_energy_uj": RATIO,
        "pim_energy_reduction": RATIO,
        "training_complexity": RATIO,
    },
}

_POINT = {
    "type": "object",
    "required": ["name", "trained", "accuracy", "average_bits", "energy_nj", "cycles", "bits"],
    "properties": {
        "name": {"type": "string"},
        "trained": {"type": "boolean"},
        "accuracy": SHARE,
        "average_bits": RATIO,
        "energy_nj": {"type": ["number", "null"], "minimum": 0},
        "cycles": {"type": ["number", "null"], "minimum": 0},
        "bits": layers(BITS),
    },
}
"""A row of the table of operating points."""

_METRICS: dict[str, Any] = {
    "type": "object",
    "required": ["recipe", "versions", "device", "mixed"],
    "properties": {
        "recipe": {
            "type": "object",
            "required": ["training", "data", "model"],
            "additionalProperties": {"type": "object"},
        },
        "versions": layers({"type": "string"}),
        "device": {"type": "string"},
        "mixed": {
            "allOf": [_NETWORK],
            "required": [
                "iterations",
                "mac_reduction",
                "training_complexity",
                "pim_energy_reduction",
            ],
        },
        "baseline": _NETWORK,
        "operating_points": {"type": "array", "items": _POINT},
        "accuracy_difference": {"type": "number", "minimum": -1, "maximum": 1},
    },
}

EPOCH = Schema(EPOCH_SCHEMA)
"""A line of ``history.jsonl``."""

METRICS = Schema(_METRICS)
"""``metrics.json``."""

RESULT = Schema(
    _METRICS
    | {
        "properties": {
            **_METRICS["properties"],
            "history": {"type": "array", "items": EPOCH_SCHEMA},
        }
    }
)
"""A file of ``results/``."""
