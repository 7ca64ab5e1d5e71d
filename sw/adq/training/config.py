"""Training recipes: TOML files read into frozen dataclasses.

A recipe determines a run completely. Missing tables and keys take the defaults below. Unknown
tables and keys are errors.
"""

import dataclasses
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adq.data.catalog import largest_level
from adq.data.config import DataConfig
from adq.fields import ConfigError, check_at_least, check_between, check_choice
from adq.golden.files.reading import FileError
from adq.golden.files.toml_reader import read_toml
from adq.models import ARCHITECTURES
from adq.own_code import check_choice_or_own
from adq.rtl.parameters import TomlError, parse_toml
from adq.training.policies.budget import Budget

POLICIES = ("activation-density", "uniform", "random", "inverse", "energy-aware")
"""Policies that choose bits; see ``adq.training.policies``."""

UNIFORM_STARTS = ("phase", "first-epoch")
"""When a uniform policy takes its bits: after the first iteration, or in the first epoch."""

ACTIVATION_RANGES = ("learned", "minmax")
"""Methods that choose the range of an activation quantizer."""

INPUTS = ("signed", "levels")
"""Forms in which a network reads images."""

PRECISIONS = ("auto", "float32", "bfloat16")
"""Number formats of a convolution's operands in training."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Network, the ``[model]`` table."""

    name: str = "digits"
    """Architecture, one of ``adq.models.ARCHITECTURES``, or a function of your own,
    ``module:function``: it is called with the shape (C, H, W) of an image and the number of
    classes, and returns a ``torch.nn.Module``."""

    weights: str = ""
    """File of trained weights to start from: a ``state_dict`` by ``torch.save``, or safetensors.
    Empty for new ones."""

    def __post_init__(self) -> None:
        check_choice_or_own("name", self.name, ARCHITECTURES)

    @property
    def title(self) -> str:
        """Name of the architecture or function, without the module."""
        return self.name.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """Quantizers, the ``[quantization]`` table."""

    activation_range: str = "learned"
    """Range of activation quantizers: ``learned``, or ``minmax`` as in the paper."""

    input: str = "signed"
    """Form in which the network reads images: ``signed`` (normalized by mean and deviation, at
    the precision of the first layer) or ``levels`` (the pixels' own integers, unsigned: 8 bits,
    or 5 for digits)."""
    range_batches: int = 20
    """Number of training batches from which a learned range starts, after each change of
    precision."""

    def __post_init__(self) -> None:
        check_choice("input", self.input, INPUTS)
        check_choice("activation_range", self.activation_range, ACTIVATION_RANGES)
        check_at_least("range_batches", self.range_batches, 1)


@dataclass(frozen=True, kw_only=True)
class ControllerConfig:
    """Rules that lower bits and prune channels during training, the ``[controller]`` table.

    See ``adq.training.controller``.
    """

    policy: str = "activation-density"
    """Policy that chooses bits: ``activation-density`` (the paper's), ``uniform``,
    ``energy-aware``, or one of the controls ``random`` and ``inverse``."""

    initial_bits: int = 16
    """Bits of every layer at the start."""

    minimum_bits: int = 2
    """Minimum bits of a layer."""

    first_bits: int = 8
    """Bits of the first layer, from the first epoch on. 16 in the paper."""

    last_bits: int = 8
    """Bits of the last layer, from the first epoch on."""

    uniform_bits: int = 4
    """Bits of the policy ``uniform`` without a budget."""

    uniform_start: str = "phase"
    """When the policy ``uniform`` takes its bits: ``phase`` (after the first iteration) or
    ``first-epoch``."""

    budget: str = ""
    """Cost at which lowering ends, such as ``5 nJ/image``, ``200 kcycles/image``,
    ``40 Mbitops/image`` or ``2.5 bits`` (mean over all multiply-accumulates). Energy is that of
    computing, without loading weights. Empty for none."""

    tile: str = "64x64"
    """Tile of energies and cycles: a name or a TOML file. Empty for none."""

    accuracy_loss: float = 1.0
    """Share of training images by which accuracy may fall below that of the first iteration. If
    an iteration ends lower, bits return to those of the iteration before. 1 allows any loss."""

    window: int = 5
    """Number of epochs over which densities must be stable to count as saturated."""

    tolerance: float = 0.02
    """Maximum spread (largest minus smallest) of a layer's density within the window."""

    drift: float = 0.01
    """Maximum rise or fall, over the window, of a straight line through a layer's density. 1 allows
    any drift."""

    climb: float = 0.02
    """Maximum rise of the training accuracy an epoch, in the mean of the window, with which an
    iteration may end. 1 allows any rise."""

    max_iterations: int = 8
    """Maximum number of iterations, including the first one at ``initial_bits``."""

    settling_epochs: int = 10
    """Minimum number of epochs of the last iteration. With fewer epochs left, nothing changes."""

    pruning: bool = False
    """Also prune channels: C_l <- round(C_l * AD_l)."""

    pruning_iterations: int = 8
    """Prune channels only at the end of the first N iterations."""

    minimum_channels: int = 8
    """Minimum output channels of a layer after pruning. A layer with fewer is not pruned."""

    minimum_kept: float = 0.0
    """Minimum share of its channels that a layer keeps in one pruning step."""

    def __post_init__(self) -> None:
        check_choice("policy", self.policy, POLICIES)
        check_between("initial_bits", self.initial_bits, 2, 16, inclusive=True)
        check_between("minimum_bits", self.minimum_bits, 2, self.initial_bits, inclusive=True)
        check_between("first_bits", self.first_bits, 2, 16, inclusive=True)
        check_between("last_bits", self.last_bits, 2, 16, inclusive=True)
        check_between("uniform_bits", self.uniform_bits, 2, 16, inclusive=True)
        check_choice("uniform_start", self.uniform_start, UNIFORM_STARTS)
        check_between("accuracy_loss", self.accuracy_loss, 0, 1, inclusive=True)
        check_at_least("window", self.window, 1)
        check_between("tolerance", self.tolerance, 0, 1, inclusive=True)
        check_between("drift", self.drift, 0, 1, inclusive=True)
        check_between("climb", self.climb, 0, 1, inclusive=True)
        check_at_least("max_iterations", self.max_iterations, 1)
        check_at_least("settling_epochs", self.settling_epochs, 1)
        check_at_least("pruning_iterations", self.pruning_iterations, 1)
        check_at_least("minimum_channels", self.minimum_channels, 1)
        check_between("minimum_kept", self.minimum_kept, 0, 1, inclusive=True)
        budget = self.cost_budget
        first_epoch = self.policy == "uniform" and self.uniform_start == "first-epoch"
        if budget is not None and self.max_iterations == 1:
            raise ConfigError(
                f"budget is {self.budget!r} and max_iterations 1: allow 2 iterations at least, as "
                "bits fall at the end of one"
            )
        if budget is not None and first_epoch:
            raise ConfigError(
                f'budget is {self.budget!r} and uniform_start "first-epoch": give uniform_bits '
                "instead of a budget, whose bits follow from what the first iteration shows"
            )
        tiled = budget is not None and budget.needs_tile
        if not self.tile and (tiled or self.policy == "energy-aware"):
            what = f"budget {self.budget!r}" if tiled else f"policy {self.policy!r}"
            raise ConfigError(f'tile is empty, and {what} needs one: name a tile, such as "64x64"')

    @property
    def cost_budget(self) -> Budget | None:
        """Budget as numbers, None without one."""
        return Budget.parse(self.budget)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Training loop, the ``[training]`` table."""

    seed: int = 0
    """Seed of the data split, the initial weights and the order of the images."""

    epochs: int
    """Number of passes over the training images, in all iterations together."""

    batch_size: int = 64
    """Images per optimizer step, summed over all processes."""

    learning_rate: float = 1e-3
    """Maximum learning rate of AdamW. It decays to 0 along a cosine over all epochs."""

    warmup_epochs: float = 0.0
    """Epochs of linear warm-up to the maximum learning rate."""

    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW)."""

    distillation: float = 0.0
    """Share of the loss, behind the first iteration, that is the divergence from the logits of the
    network at the end of that iteration; the rest is the cross-entropy with the labels."""

    baseline: bool = True
    """Also train the same network at ``initial_bits`` for the same number of epochs. Epochs of a
    first iteration at ``initial_bits`` are trained once for both."""

    device: str = "cpu"
    """Device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` (a GPU if there is one)."""

    precision: str = "auto"
    """Number format of convolutions in training: ``float32``, ``bfloat16``, or ``auto`` (bfloat16
    on a GPU). Evaluation uses float32."""

    checkpoint_steps: int = 1000
    """Steps between checkpoints within an epoch. A checkpoint also follows each epoch."""

    threads: int = 1
    """Number of CPU threads. It is part of the recipe because it affects the rounding of sums. The
    digits network is too small to profit from two threads."""

    def __post_init__(self) -> None:
        check_between("seed", self.seed, 0, 2**32 - 1, inclusive=True)
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch_size", self.batch_size, 2)
        if not 0 < self.learning_rate <= 10:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}: it must be more than 0 and at most 10"
            )
        check_between("warmup_epochs", self.warmup_epochs, 0, self.epochs, inclusive=True)
        check_between("weight_decay", self.weight_decay, 0, 1, inclusive=True)
        check_between("distillation", self.distillation, 0, 1, inclusive=True)
        check_choice("precision", self.precision, PRECISIONS)
        check_at_least("checkpoint_steps", self.checkpoint_steps, 1)
        check_between("threads", self.threads, 1, 1024, inclusive=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe of a training run."""

    training: TrainingConfig
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    controller: ControllerConfig = field(default_factory=ControllerConfig)

    @property
    def input_levels(self) -> int | None:
        """Largest level of the images, where the network reads levels."""
        return largest_level(self.data.name) if self.quantization.input == "levels" else None

    @classmethod
    def from_toml(cls, path: Path, changes: Sequence[str] = ()) -> "Recipe":
        """Read a recipe and apply changes such as ``training.epochs=3``.

        Raises
        ------
        ConfigError
            If the file cannot be read, is not TOML, or has an unknown key or an invalid value. The
            message names the file, the key and the valid values.

        """
        try:
            table = read_toml(path)
        except FileError as error:
            raise ConfigError(f"{error}: give the path of a recipe") from None
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error.strerror}): give the path of a recipe, "
                "or the name of one that comes with adq, such as digits"
            ) from None
        try:
            for change in changes:
                _change(table, change)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        return cls.from_table(table, source=path)

    @classmethod
    def from_table(cls, table: dict[str, Any], *, source: Path) -> "Recipe":
        """Build a recipe from a parsed TOML or JSON file. ``source`` names the file in errors."""
        try:
            recipe: Recipe = _from_table(cls, table, "")
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        return recipe

    def to_toml(self) -> str:
        """Return the recipe as TOML, including defaults."""
        tables = [
            f"[{name}]\n"
            + "".join(
                f"{key} = {_to_toml(value)}\n" for key, value in table.items() if value is not None
            )
            for name, table in dataclasses.asdict(self).items()
        ]
        return "\n".join(tables)

    def differences(self, other: "Recipe") -> list[str]:
        """Describe each key whose value differs from the other recipe, with both values."""
        return [
            f"[{section}] {key} is {value!r} and {others[section][key]!r}"
            for others in [dataclasses.asdict(other)]
            for section, table in dataclasses.asdict(self).items()
            for key, value in table.items()
            if value != others[section][key]
        ]


def _change(table: dict[str, Any], change: str) -> None:
    """Apply ``table.key=value`` to the tables of a recipe. Strings need no quotation marks."""
    name, equals, text = change.partition("=")
    section, dot, key = name.strip().partition(".")
    if not equals or not dot:
        raise ConfigError(f"{change!r} is no change: write it as training.epochs=3")
    try:
        value = parse_toml(f"value = {text}".encode(errors="replace"))["value"]
    except TomlError:
        value = text.strip()
    if not isinstance(table.setdefault(section, {}), dict):
        raise ConfigError(f"{section} is no table of the recipe, which {change!r} would change")
    table[section][key] = value


def _to_toml(value: Any) -> str:
    # JSON numbers, strings and booleans are also valid TOML.
    return json.dumps(value, ensure_ascii=False)


def _from_table(cls: type, table: dict[str, Any], section: str) -> Any:
    """Build a dataclass from a TOML table. ``section`` names the table in errors."""
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


def _convert(expected: Any, value: Any, where: str) -> Any:
    """Check a TOML value against the type of a field. Integers are accepted as floats."""
    if isinstance(expected, type) and dataclasses.is_dataclass(expected):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}: it must be a table, written [{where}]")
        return _from_table(expected, value, where)
    if expected is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not expected:
        kind = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
        raise ConfigError(f"{where} is {value!r}: it must be {kind[expected]}")
    return value
