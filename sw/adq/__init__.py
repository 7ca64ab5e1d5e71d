"""Activation-density quantization: training, export, energy and the command line.

>>> prepared = adq.prepare(network, example)
>>> controller = adq.Controller(prepared)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adq.config import ControllerConfig, QuantizationConfig
    from adq.controller import Controller, Decision
    from adq.quantization.prepared import Prepared, prepare
    from adq.quantization.tracing import PrepareError

__all__ = [
    "Controller",
    "ControllerConfig",
    "Decision",
    "PrepareError",
    "Prepared",
    "QuantizationConfig",
    "prepare",
]

_HOMES = {
    "Controller": "adq.controller",
    "ControllerConfig": "adq.config",
    "Decision": "adq.controller",
    "PrepareError": "adq.quantization.tracing",
    "Prepared": "adq.quantization.prepared",
    "QuantizationConfig": "adq.config",
    "prepare": "adq.quantization.prepared",
}


def __getattr__(name: str) -> Any:
    # Names that need PyTorch are looked up when they are used: the command line answers without it.
    if name not in _HOMES:
        raise AttributeError(f"module 'adq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
