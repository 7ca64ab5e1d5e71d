"""Images to train on: one module a data set, each with ``load(config, seed)``."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from adq.config import DataConfig
    from adq.data.images import Images

DATA_SETS = ("digits",)
"""Names of the data sets; each is a module of this package."""


def load(config: "DataConfig", *, seed: int, device: "torch.device | str") -> "Images":
    """Load the data set that a recipe names, split by a seed, onto a device."""
    module = importlib.import_module(f"adq.data.{config.name}")
    return module.load(config, seed).to(device)
