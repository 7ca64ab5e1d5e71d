"""Checkpoints: what a trained network is, in one file."""

import dataclasses
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adq.files import replacing
from adq.models.vgg import Vgg

FORMAT = 1
"""Version of the file's layout."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another version."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network after an epoch: its present shape, parameters, precisions and densities."""

    model: dict[str, Any]
    """Arguments of ``Vgg``."""
    state: dict[str, Any]
    """The model's state, the layers' bits included."""
    densities: dict[str, float]
    """Activation density of the epoch, of the layers that have one."""
    epoch: int
    """Epochs trained."""

    def build(self) -> Vgg:
        """Return the network, ready for evaluation."""
        model = Vgg(**self.model)
        model.load_state_dict(self.state)
        return model.eval()

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        with replacing(path) as temporary:
            torch.save({"format": FORMAT, **fields}, temporary)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint onto the CPU.

        Raises
        ------
        CheckpointError
            The file is missing, damaged or of another version.

        """
        again = "train again, or point to another run"
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise CheckpointError(f"{path}: there is no checkpoint: {again}") from None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError):
            raise CheckpointError(f"{path}: is damaged or no checkpoint: {again}") from None
        version = content.pop("format", None) if isinstance(content, dict) else None
        if version != FORMAT:
            raise CheckpointError(
                f"{path}: has format {version}, and this version reads {FORMAT}: {again}"
            )
        try:
            return cls(**content)
        except TypeError:
            raise CheckpointError(f"{path}: is damaged or no checkpoint: {again}") from None
