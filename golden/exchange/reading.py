"""Reads a quantized ONNX graph, QONNX or QDQ or QLinear operators, as an integer network.

Operators are taken in order. Each gives a value (``adq.golden.exchange.values``); those that
follow a layer are folded into it until a quantizer makes integers. An operator that has no exact
integer form is refused by its name.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adq.golden.exchange.integers import OriginalAccumulators
from adq.golden.exchange.opening import ExchangeError, OpenedGraph, Operator, open_model
from adq.golden.exchange.operators.constants import FOLDED
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.operators.elementwise import ELEMENTWISE
from adq.golden.exchange.operators.expansion import expanded
from adq.golden.exchange.operators.layers import LAYERS
from adq.golden.exchange.operators.quantizers import integer_limits
from adq.golden.exchange.operators.quantizing import QUANTIZING
from adq.golden.exchange.operators.shapes import SHAPES
from adq.golden.exchange.operators.windows import WINDOWS
from adq.golden.exchange.rescaling import Rounding
from adq.golden.exchange.values import (
    Codes,
    Grid,
    Pending,
    Quantizer,
    Source,
    Tabled,
    Value,
    Weights,
)
from adq.golden.network import INPUT, Network, NetworkError

__all__ = ["ExchangeError", "Imported", "read_model"]

_REFUSED = {
    "BipolarQuant": "weights and activations of one bit have no integer form here: use 2 bits",
    "Trunc": "truncation has no integer form here: use a Quant behind the average pooling",
    "FloatQuant": "numbers in floating point have no integer form",
    "DynamicQuantizeLinear": "its scales follow the image: quantize statically",
    "ConvInteger": "its scales follow the image: quantize statically, in QDQ form",
    "MatMulInteger": "its scales follow the image: quantize statically, in QDQ form",
    "ConvTranspose": "has no integer form here: use nearest upsampling and a convolution",
}

OPERATORS: dict[str, Callable[[Context, Operator], Value]] = {
    **QUANTIZING,
    **LAYERS,
    **ELEMENTWISE,
    **SHAPES,
    **WINDOWS,
}
"""Functions that read an operator, by its type."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Imported:
    """An integer network, and how its integers stand for the numbers of a file."""

    network: Network
    quantizer: Quantizer
    """How images become the network's integers, beside ``zero``."""
    zero: int
    """Integer of the input that stands for 0.0."""
    prelude: tuple[Callable[[np.ndarray], np.ndarray], ...]
    image_shape: tuple[int, ...]
    """Shape of one image of the file, without N."""
    graph: OpenedGraph
    roundings: tuple[Rounding, ...]
    originals: dict[str, tuple[str, Grid]]
    """The file's tensor of real numbers, by tensor of the network."""
    codes: dict[str, tuple[str, int]]
    """The file's tensor of integers, and what to take from them, by tensor of the network."""
    accumulators: dict[str, OriginalAccumulators]
    notes: tuple[str, ...]
    """Notes on parts of the file that were left out because they change no class."""

    @property
    def zeros(self) -> dict[str, int]:
        """Integers that stand for 0.0, of the tensors in which it is not 0."""
        names = {INPUT, *(node.name for node in self.network.nodes)}
        found = {name: grid.zero for name, (_, grid) in self.originals.items()}
        return {name: zero for name, zero in found.items() if zero and name in names}

    def integers(self, images: np.ndarray) -> np.ndarray:
        """Quantize images (N, ...) as the file does, to the network's input.

        Raises
        ------
        ExchangeError
            They are not of the file's shape, or no finite numbers.

        """
        images = np.asarray(images)
        if images.shape[1:] != self.image_shape or not images.size:
            raise ExchangeError(
                f"images have shape {images.shape}: they must be (N, "
                f"{', '.join(map(str, self.image_shape))})"
            )
        if not np.isfinite(images).all():
            raise ExchangeError("images hold values that are no finite numbers")
        if np.issubdtype(self.graph.input_dtype, np.integer):
            if not np.issubdtype(images.dtype, np.integer):
                raise ExchangeError(f"the network takes {self.graph.input_dtype}: give integers")
            limits = integer_limits(self.graph.input_dtype)
            if limits is None or images.min() < limits[0] or images.max() > limits[1]:
                raise ExchangeError(f"images are not of {self.graph.input_dtype}")
            whole = images.astype(np.int64) - self.quantizer.zero
        else:
            real = images.astype(np.float32)
            for step in self.prelude:
                real = step(real)
            whole = self.quantizer.integers(real)
        return (whole + self.zero).reshape(-1, *self.network.input_shape)


def read_model(path: str | Path) -> Imported:
    """Read a quantized network from an ONNX file.

    Raises
    ------
    ExchangeError
        The file is not understood, or a node of it has no exact integer form.
    adq.golden.formats.NetworkError
        A width could overflow.

    """
    graph = open_model(path)
    context = Context(graph)
    for operator in expanded(graph.operators):
        try:
            context.values[operator.output] = _read(context, operator)
        except NetworkError as error:
            raise operator.error(str(error)) from None
        except ExchangeError as error:
            if str(error).startswith(f"{operator.kind} "):
                raise
            raise operator.error(str(error)) from None
    if context.quantizer is None:
        raise ExchangeError(
            f"no quantizer reads the input {graph.input!r}: put one in front of the first layer "
            "(QuantIdentity in Brevitas)"
        )
    outputs = [_output(context, name) for name in graph.outputs]
    if len(set(outputs)) != len(outputs):
        raise ExchangeError("two outputs of the network are one tensor: leave one of them out")
    network = context.builder.network(_network_name(path), outputs)
    kept = {node.name for node in network.nodes}
    return Imported(
        network=network,
        quantizer=context.quantizer,
        zero=context.zero,
        prelude=context.prelude,
        image_shape=graph.input_shape,
        graph=graph,
        roundings=tuple(each for each in context.builder.roundings if each.node in kept),
        originals=context.builder.originals,
        codes=context.builder.codes,
        accumulators=context.builder.accumulators,
        notes=tuple(context.notes),
    )


def _network_name(path: str | Path) -> str:
    name = "".join(each for each in Path(path).stem if each.isprintable())
    return name.encode("utf-8", "replace").decode()[:64] or "network"


def _read(context: Context, operator: Operator) -> Value:
    values = [context.values[name] for name in operator.inputs if name]
    constants = [value for value in values if isinstance(value, np.ndarray)]
    if len(constants) == len(values) and operator.kind in FOLDED:
        return FOLDED[operator.kind](operator, constants, context.graph.opset)
    if operator.kind in _REFUSED:
        raise operator.error(_REFUSED[operator.kind])
    if operator.kind not in OPERATORS:
        raise operator.error("has no integer form here, or none without a quantizer around it")
    return OPERATORS[operator.kind](context, operator)


def _output(context: Context, name: str) -> str:
    value, builder = context.values[name], context.builder
    if isinstance(value, Pending):
        tensor = builder.output(value)
    elif isinstance(value, Grid | Codes):
        tensor = value.tensor
    elif isinstance(value, Tabled):
        raise ExchangeError(f"{value.name}: no quantizer follows, at the output {name!r}")
    else:
        kind = "the input itself" if isinstance(value, Source | Weights) else "a constant"
        raise ExchangeError(f"the output {name!r} is {kind}")
    if tensor == INPUT:
        raise ExchangeError(f"the output {name!r} is the input itself")
    return tensor
