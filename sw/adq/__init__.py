"""Activation-density quantization: training, export, energy and the command line.

>>> prepared = adq.prepare(network, example)
>>> controller = adq.Controller(prepared)
>>> print(adq.energy(network, images))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adq.data.config import DataConfig
    from adq.quantization.prepared import Prepared, prepare
    from adq.quantization.reading.tracing import PrepareError
    from adq.training.config import (
        ControllerConfig,
        ModelConfig,
        QuantizationConfig,
        Recipe,
        TrainingConfig,
    )
    from adq.training.controller import Controller, Decision
    from adq.training.policies.policy import PolicyError
    from adq.training.recording.measurements import Measurements
    from adq.training.recording.recorder import Recorder

__all__ = [
    "Controller",
    "ControllerConfig",
    "DataConfig",
    "Decision",
    "Measurements",
    "ModelConfig",
    "PolicyError",
    "PrepareError",
    "Prepared",
    "QuantizationConfig",
    "Recipe",
    "Recorder",
    "TrainingConfig",
    "__version__",
    "energy",
    "prepare",
]

__version__ = "0.2.0"

_HOMES = {
    "Controller": "adq.training.controller",
    "ControllerConfig": "adq.training.config",
    "DataConfig": "adq.data.config",
    "Decision": "adq.training.controller",
    "Measurements": "adq.training.recording.measurements",
    "ModelConfig": "adq.training.config",
    "PolicyError": "adq.training.policies.policy",
    "PrepareError": "adq.quantization.reading.tracing",
    "Prepared": "adq.quantization.prepared",
    "QuantizationConfig": "adq.training.config",
    "Recipe": "adq.training.config",
    "Recorder": "adq.training.recording.recorder",
    "TrainingConfig": "adq.training.config",
    "prepare": "adq.quantization.prepared",
}


def __getattr__(name: str) -> Any:
    # Names that need PyTorch are looked up when they are used: the command line answers without it.
    if name not in _HOMES and name != "energy":
        raise AttributeError(f"module 'adq' has no attribute {name!r}")
    from importlib import import_module

    if name == "energy":
        return import_module("adq.energy")  # a package that is called like a function
    return getattr(import_module(_HOMES[name]), name)
