"""Trained weights in floating point, from which a training starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from adq.files.torch_files import MAXIMUM_BYTES, read_torch
from adq.golden.files.reading import FileError, read_file
from adq.models.architectures import ModelError

__all__ = ["load_weights"]

_REMEDY = "give a state_dict that torch.save wrote, or safetensors"

_WRAPPED = ("state_dict", "model", "model_state_dict")
"""Keys under which checkpoints of other tools hold a network's state."""

_PARALLEL = "module."
"""Prefix that DistributedDataParallel and DataParallel put before names."""


def load_weights(model: nn.Module, path: Path) -> None:
    """Give a network the weights of a file: a ``state_dict`` by ``torch.save``, or safetensors.

    Raises
    ------
    ModelError
        If the file is missing, damaged or no state, or is another network's.

    """
    state = _read(path)
    for key in _WRAPPED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and torch.is_tensor(value) for name, value in state.items()
    ):
        raise ModelError(f"{path}: holds no weights: give the state_dict of a network")
    weights = {name.removeprefix(_PARALLEL): value for name, value in state.items()}
    own = model.state_dict()
    for what, names in (("lacks", own.keys() - weights), ("has besides", weights.keys() - own)):
        if names:
            first, *more = sorted(names)
            raise ModelError(
                f"{path}: is of another network: it {what} {first}"
                f"{f' and {len(more)} more' if more else ''}"
            )
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise ModelError(
                f"{path}: is of another network: {name} is {tuple(value.shape)} in it and "
                f"{tuple(own[name].shape)} in the network"
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise ModelError(f"{path}: {name} holds values that are no finite numbers")
    model.load_state_dict(weights)


def _read(path: Path) -> Any:
    try:
        if path.suffix != ".safetensors":
            return read_torch(path, "file of weights", archives_only=False)
        return load(read_file(path, MAXIMUM_BYTES))
    except FileNotFoundError:
        raise ModelError(f"{path}: is not there: give a file of weights") from None
    except SafetensorError:
        raise ModelError(f"{path}: is damaged or no file of weights: {_REMEDY}") from None
    except FileError as error:
        raise ModelError(f"{error}: {_REMEDY}") from None
