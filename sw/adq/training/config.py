"""Training recipes: TOML files read into frozen dataclasses.

A recipe holds everything that decides a run. A table or key that is left out takes the default
written here; one that is misspelt is an error.
"""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adq.data.config import DataConfig
from adq.fields import ConfigError, check_at_least, check_between, check_choice
from adq.golden.files.reading import FileError, read_file
from adq.models import ARCHITECTURES

MAXIMUM_BYTES = 2**20
"""Largest recipe that is read."""

ACTIVATION_RANGES = ("learned", "minmax")
"""Ways to choose the range of an activation quantizer (``adq.quantizers``)."""

PRECISIONS = ("auto", "float32", "bfloat16")
"""Number formats of a convolution's operands in training."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    name: str = "digits"
    """Architecture, one of ``adq.models.ARCHITECTURES``."""

    def __post_init__(self):
        check_choice("name", self.name, ARCHITECTURES)


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """The quantizers."""

    activation_range: str = "learned"
    """How activation quantizers find their range: ``learned``, or the paper's ``minmax``."""

    def __post_init__(self):
        check_choice("activation_range", self.activation_range, ACTIVATION_RANGES)


@dataclass(frozen=True, kw_only=True)
class ControllerConfig:
    """When activation density lowers precisions, and how far (``adq.training.controller``)."""

    initial_bits: int = 16
    """Precision of every layer at the start, and of the first and the last layer for good."""

    minimum_bits: int = 2
    """Fewest bits that a layer can reach."""

    window: int = 5
    """Epochs over which densities must have been stable to count as saturated."""

    tolerance: float = 0.02
    """Largest spread of a layer's density within the window, as a share of its activations."""

    max_iterations: int = 8
    """Iterations at most; the one at ``initial_bits`` is the first."""

    settling_epochs: int = 10
    """Epochs that the last iteration gets at least: with fewer left, precisions stay."""

    pruning: bool = False
    """Whether channels leave the network too: C_l <- round(C_l * AD_l)."""

    pruning_iterations: int = 8
    """Iterations at whose end channels leave, counted from the first."""

    minimum_channels: int = 8
    """Fewest output channels that a layer can reach; one that has fewer keeps them."""

    minimum_kept: float = 0.0
    """Least share of its channels that a layer keeps at once, however low its density."""

    def __post_init__(self):
        check_between("initial_bits", self.initial_bits, 2, 16, inclusive=True)
        check_between("minimum_bits", self.minimum_bits, 2, self.initial_bits, inclusive=True)
        check_at_least("window", self.window, 1)
        check_between("tolerance", self.tolerance, 0, 1, inclusive=True)
        check_at_least("max_iterations", self.max_iterations, 1)
        check_at_least("settling_epochs", self.settling_epochs, 1)
        check_at_least("pruning_iterations", self.pruning_iterations, 1)
        check_at_least("minimum_channels", self.minimum_channels, 1)
        check_between("minimum_kept", self.minimum_kept, 0, 1, inclusive=True)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The training loop."""

    seed: int = 0
    """Seed of the data split, the initial weights and the order of the images."""

    epochs: int
    """Passes over the training images, all iterations together."""

    batch_size: int = 64
    """Images of one step of the optimizer, those of all processes together."""

    learning_rate: float = 1e-3
    """Adam's largest learning rate; it falls to 0 along a cosine over all epochs."""

    warmup_epochs: float = 0.0
    """Epochs in which the learning rate rises linearly to its largest value."""

    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW)."""

    baseline: bool = True
    """Also train the same network at ``initial_bits`` throughout, for as many epochs."""

    device: str = "cpu"
    """``cpu``, ``cuda``, ``cuda:N``, or ``auto``: a GPU where there is one."""

    precision: str = "auto"
    """Of convolutions in training: ``float32``, ``bfloat16``, or ``auto``, which is bfloat16 on a
    GPU. Evaluation is in float32."""

    checkpoint_steps: int = 1000
    """Steps between checkpoints within an epoch; after each epoch there is one anyway."""

    threads: int = 1
    """CPU threads. How a sum is shared decides its last bit, so it belongs to the recipe; the
    digits network is too small to gain from two, and on a busy machine two cost several times
    as much."""

    def __post_init__(self):
        check_between("seed", self.seed, 0, 2**32 - 1, inclusive=True)
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch_size", self.batch_size, 2)
        if not 0 < self.learning_rate <= 10:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}: it must be more than 0 and at most 10"
            )
        check_between("warmup_epochs", self.warmup_epochs, 0, self.epochs, inclusive=True)
        check_between("weight_decay", self.weight_decay, 0, 1, inclusive=True)
        check_choice("precision", self.precision, PRECISIONS)
        check_at_least("checkpoint_steps", self.checkpoint_steps, 1)
        check_between("threads", self.threads, 1, 1024, inclusive=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run."""

    training: TrainingConfig
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    controller: ControllerConfig = field(default_factory=ControllerConfig)

    @classmethod
    def from_toml(cls, path: Path, changes: Sequence[str] = ()) -> "Recipe":
        """Read a recipe, with changes on top, such as ``training.epochs=3``.

        Raises
        ------
        ConfigError
            The file cannot be read, is not TOML, holds an unknown key or an impossible value. The
            message names the file, the key, and what would be valid.

        """
        try:
            table = tomllib.loads(read_file(path, MAXIMUM_BYTES).decode())
        except FileError as error:
            raise ConfigError(f"{error}: give the path of a recipe") from None
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error.strerror}): give the path of a recipe, "
                "or the name of one that comes with adq, such as digits"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from None
        try:
            for change in changes:
                _change(table, change)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        return cls.from_table(table, source=path)

    @classmethod
    def from_table(cls, table: dict[str, Any], *, source: Path) -> "Recipe":
        """Build a recipe from what TOML or JSON gives; ``source`` names the file in errors."""
        try:
            return _from_table(cls, table, "")
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    def to_toml(self) -> str:
        """Write every value out, defaults included."""
        tables = [
            f"[{name}]\n"
            + "".join(
                f"{key} = {_to_toml(value)}\n" for key, value in table.items() if value is not None
            )
            for name, table in dataclasses.asdict(self).items()
        ]
        return "\n".join(tables)

    def differences(self, other: "Recipe") -> list[str]:
        """Name each key that has another value in the other recipe, with both values."""
        return [
            f"[{section}] {key} is {value!r} and {others[section][key]!r}"
            for others in [dataclasses.asdict(other)]
            for section, table in dataclasses.asdict(self).items()
            for key, value in table.items()
            if value != others[section][key]
        ]


def _change(table: dict[str, Any], change: str) -> None:
    """Put one ``table.key=value`` into a recipe's tables; a text needs no quotation marks."""
    name, equals, text = change.partition("=")
    section, dot, key = name.strip().partition(".")
    if not equals or not dot:
        raise ConfigError(f"{change!r} is no change: write it as training.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if not isinstance(table.setdefault(section, {}), dict):
        raise ConfigError(f"{section} is no table of the recipe, which {change!r} would change")
    table[section][key] = value


def _to_toml(value: Any) -> str:
    # JSON's numbers, texts and truth values are TOML's as well.
    return json.dumps(value, ensure_ascii=False)


def _from_table(cls: type, table: dict[str, Any], section: str) -> Any:
    """Build a dataclass from a TOML table; ``section`` names the table in errors."""
    fields = {each.name: each for each in dataclasses.fields(cls)}
    what = f"a key of [{section}]" if section else "a table of a recipe"
    values = {}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            mend = f"did you mean {near[0]}?" if near else f"valid are {', '.join(fields)}"
            raise ConfigError(f"{key} is not {what}: {mend}")
        values[key] = _convert(fields[key].type, value, f"[{section}] {key}" if section else key)
    missing = [
        name
        for name, each in fields.items()
        if name not in values
        and each.default is dataclasses.MISSING
        and each.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{missing[0]} is missing: it is {what} without a default")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"[{section}] {error}") from None


def _convert(expected: type, value: Any, where: str) -> Any:
    """Check a TOML value against a field's type; an integer serves as a float."""
    if dataclasses.is_dataclass(expected):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}: it must be a table, written [{where}]")
        return _from_table(expected, value, where)
    if expected is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not expected:
        kind = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
        raise ConfigError(f"{where} is {value!r}: it must be {kind[expected]}")
    return value
