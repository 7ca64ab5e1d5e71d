"""Checkpoints: what a network in training is, in one file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from adq.data.hub import DataError
from adq.data.images import Images
from adq.data.provenance import TrainingData
from adq.fields import ConfigError
from adq.files import replacing
from adq.files.torch_files import read_torch
from adq.golden.files.json_reader import JsonError, Schema
from adq.golden.files.reading import FileError
from adq.models import build
from adq.own_code import is_own
from adq.quantization.prepared import prepare
from adq.runs.run_schema import BITS, CHANNELS, EPOCH_SCHEMA, SHARE, layers
from adq.training.config import Recipe

if TYPE_CHECKING:
    from adq.quantization.prepared import Prepared

FORMAT = 2
"""Version of the file's layout."""


_NUMBERS = Schema(
    {
        "type": "object",
        "properties": {
            "network": {"enum": ["mixed", "baseline"]},
            "recipe": {
                "type": "object",
                "required": ["data", "model"],
                "additionalProperties": {"type": "object"},
                "properties": {"model": {"required": ["name"]}},
            },
            "input_shape": {
                "type": "array",
                "minItems": 3,
                "maxItems": 3,
                "items": {"type": "integer", "minimum": 1, "maximum": 2**16},
            },
            "classes": {"type": "integer", "minimum": 1, "maximum": 2**20},
            "channels": layers(CHANNELS),
            "bits": layers(BITS),
            "state": {"type": "object"},
            "densities": layers(SHARE),
            "epoch": {"type": "integer", "minimum": 0},
            "history": {"type": "array", "items": EPOCH_SCHEMA},
            "controller": {"type": "object"},
            "seconds": {"type": "number", "minimum": 0},
            "progress": {"type": ["object", "null"]},
        },
    }
)
"""Types and ranges of what is no tensor. What else the training needs is checked where it is used,
against the network that the recipe names."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of another version or network."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network after an epoch or within one: plain numbers, texts and tensors."""

    network: str
    """``mixed`` or ``baseline``."""
    recipe: dict[str, Any]
    """The recipe's tables."""
    input_shape: tuple[int, int, int]
    """(C, H, W) of one image."""
    classes: int
    """Number of logits."""
    channels: dict[str, int]
    """Present output channels of each layer."""
    bits: dict[str, int]
    """Present precision of each layer."""
    state: dict[str, Any]
    """The model's state."""
    densities: dict[str, float]
    """Activation density in the last whole epoch, of the layers that have one."""
    epoch: int
    """Whole epochs trained."""
    history: list[dict[str, Any]]
    """A line an epoch."""
    controller: dict[str, Any]
    """State of the controller."""
    seconds: float
    """Time that training took so far."""
    progress: dict[str, Any] | None
    """Optimizer, density counts, random numbers and place in the epoch; None once training has
    ended."""
    data: dict[str, Any] | None = None
    """The images that it was trained on, as ``TrainingData.to_json`` gives them; None in a
    checkpoint that was written before they were kept."""
    path: Path | None = None
    """The file that it was read from."""

    @property
    def training_data(self) -> TrainingData | None:
        """The images that it was trained on, where they are kept.

        Raises
        ------
        CheckpointError
            What is kept is damaged.

        """
        if self.data is None:
            return None
        try:
            return TrainingData.from_json(self.data)
        except DataError as error:
            raise CheckpointError(
                f"{self.path}: {error}: train again, or point to another run"
            ) from None

    def normalized(self, images: Images) -> Images:
        """Return images normalized as the network was trained.

        Raises
        ------
        adq.data.DataError
            The images or their classes are of another kind.

        """
        trained = self.training_data
        return images if trained is None else images.normalized_as(trained)

    def build(self) -> "Prepared":
        """Return the network, ready for evaluation.

        Raises
        ------
        CheckpointError
            The state does not fit the network that the recipe names.
        adq.fields.ConfigError
            The recipe names a function that is not there, or fails.

        """
        try:
            recipe = Recipe.from_table(self.recipe, source=self.path or Path("checkpoint"))
        except ConfigError as error:
            raise self._of_another_network(error) from None
        name = recipe.model.name
        # A function of the user's that fails says so itself.
        own = build(name, self.input_shape, self.classes) if is_own(name) else None
        try:
            model = own or build(name, self.input_shape, self.classes, channels=self.channels)
            prepared = prepare(
                model,
                torch.zeros(1, *self.input_shape),
                config=recipe.quantization,
                levels=recipe.input_levels,
            )
            self._prune(prepared)
            prepared.model.load_state_dict(self.state)
        except (RuntimeError, KeyError, ValueError) as error:
            raise self._of_another_network(error) from None
        prepared.model.eval()
        return prepared

    def _of_another_network(self, error: Exception) -> CheckpointError:
        reason = str(error).strip().splitlines()[-1].strip()
        return CheckpointError(
            f"{self.path}: the weights are of another network than the recipe's ({reason}): "
            "train again, or point to another run"
        )

    def _prune(self, prepared: "Prepared") -> None:
        """Give a network of the user's own, which is built whole, the channels that are left."""
        channels = {
            group[0]: self.channels[group[0]]
            for group in prepared.groups
            if prepared.channels[group[0]] != self.channels[group[0]]
        }
        if channels:
            prepared.prune(channels)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OSError
            The disk is full, or the folder cannot be written.

        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        with replacing(path) as temporary, temporary.open("wb") as file:
            try:
                torch.save({"format": FORMAT, **fields, "path": None}, file)
            except (OSError, RuntimeError) as error:
                # PyTorch closes its archive behind a full disk, and complains about that alone.
                failed = error if isinstance(error, OSError) else error.__context__
                if not isinstance(failed, OSError):
                    raise
                raise OSError(failed.errno, failed.strerror, str(path)) from None

    @classmethod
    def load(cls, path: Path, *, recipe: Recipe | None = None) -> "Checkpoint":
        """Read a checkpoint onto the CPU, of a given recipe if one is given.

        Raises
        ------
        CheckpointError
            The file is missing, damaged, or of another version or recipe.

        """
        again = "train again, or point to another run"
        try:
            content = read_torch(path, "checkpoint")
        except FileNotFoundError:
            raise CheckpointError(f"{path}: there is no checkpoint: {again}") from None
        except FileError as error:
            raise CheckpointError(f"{error}: {again}") from None
        version = content.pop("format", None) if isinstance(content, dict) else None
        if version != FORMAT:
            raise CheckpointError(
                f"{path}: has format {version}, and this version reads {FORMAT}: {again}"
            )
        try:
            checkpoint = cls(**{**content, "path": path})
            _NUMBERS.check(content)
        except JsonError as error:
            raise CheckpointError(f"{path}: is damaged ({error}): {again}") from None
        except TypeError:
            raise CheckpointError(f"{path}: is damaged or no checkpoint: {again}") from None
        # Through the recipe's class: an older checkpoint lacks keys that have since got a default.
        if recipe is not None and Recipe.from_table(checkpoint.recipe, source=path) != recipe:
            raise CheckpointError(
                f"{path}: was trained by another recipe than this run's config.toml: {again}"
            )
        return checkpoint
