"""The state of reading a graph: values by name, and the network that grows from them."""

from collections.abc import Callable

import numpy as np

from adq.golden.exchange.building import Builder
from adq.golden.exchange.opening import OpenedGraph, Operator
from adq.golden.exchange.values import (
    Codes,
    Grid,
    Joined,
    Pending,
    Quantizer,
    Source,
    Tabled,
    Value,
)
from adq.golden.nodes import INPUT


class Context:
    """Values of a graph's tensors, and the integer network so far."""

    def __init__(self, graph: OpenedGraph):
        self.graph = graph
        shape = graph.input_shape
        # A length alone is an image of one row.
        self.builder = Builder((shape[0], 1, shape[1]) if len(shape) == 2 else shape)
        self.image_rank = len(shape) + 1 if len(shape) > 1 else None
        """Axes of the file's images, N included: 3 where they are lengths. Vectors have 2."""
        self.values: dict[str, Value] = dict(graph.constants)
        self.values[graph.input] = Source(shape=self.builder.shapes[INPUT])
        self.quantizer: Quantizer | None = None
        self.zero = 0
        self.prelude: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
        self.notes: list[str] = []

    def rank(self, shape: tuple[int, ...]) -> int:
        """Return the number of axes that the file has for a tensor, N included."""
        return 2 if len(shape) == 1 else self.image_rank or 4

    def axes(self, operator: Operator, axes: list[int], shape: tuple[int, ...]) -> list[int]:
        """Return axes of a tensor in order, counted from N on."""
        rank = self.rank(shape)
        if not all(-rank <= axis < rank for axis in axes):
            raise operator.error(f"has axes {axes}, of {rank}")
        return sorted(axis % rank for axis in axes)

    def constant(self, operator: Operator, place: int, what: str) -> np.ndarray | None:
        """Return an input that must be a constant, or None where it is left out."""
        if len(operator.inputs) <= place or not operator.inputs[place]:
            return None
        value = self.values[operator.inputs[place]]
        if not isinstance(value, np.ndarray):
            raise operator.error(f"its {what} is computed: it must be a constant")
        return value

    def required(self, operator: Operator, place: int, what: str) -> np.ndarray:
        """Return an input that must be a constant, and there."""
        value = self.constant(operator, place, what)
        if value is None:
            raise operator.error(f"has no {what}")
        return value

    def value(self, operator: Operator, place: int) -> Value:
        """Return an input."""
        if len(operator.inputs) <= place or not operator.inputs[place]:
            raise operator.error(f"has no input {place}")
        return self.values[operator.inputs[place]]

    def grid(self, operator: Operator, place: int = 0) -> Grid:
        """Return an input that stands for integers; sums are taken as they are."""
        value = self.value(operator, place)
        if isinstance(value, Pending):
            exact = self.builder.exactly(value)
            if exact is not None:
                return self.builder.know(exact, operator.inputs[place])
            value_name = value.name
            raise operator.error(
                f"reads {value_name} in floating point: put a quantizer between the two"
            )
        if isinstance(value, Joined):
            return self.builder.know(self._joined(operator, value), operator.inputs[place])
        if isinstance(value, Tabled):
            raise operator.error(f"reads {value.name} in floating point: put a quantizer between")
        if isinstance(value, Source):
            raise operator.error("reads the images in floating point: put a quantizer before it")
        if not isinstance(value, Grid):
            raise operator.error(f"its input {place} is not activations with a scale")
        return value

    def _joined(self, operator: Operator, value: Joined) -> Grid:
        """Return tensors of one scale one after another."""
        parts = [part for part in value.parts if isinstance(part, Grid)]
        scales = {np.float32(part.scale) for part in parts}
        if len(parts) != len(value.parts) or len(scales) != 1:
            raise operator.error(
                f"reads {value.name}, which joins tensors of several scales: put a quantizer "
                "between the two"
            )
        codes = [Codes(tensor=part.tensor, shape=part.shape, base=-part.zero) for part in parts]
        scale = parts[0].scale
        joined = self.builder.join(codes, value.name, scale=scale, zero=0)
        return Grid(tensor=joined.tensor, shape=joined.shape, scale=scale, zero=-joined.base)

    def begin(self, operator: Operator, source: Source, quantizer: Quantizer) -> Codes:
        """Take the quantizer of the input, of which there is one."""
        form = quantizer.form()
        if self.quantizer is not None and (self.quantizer, self.prelude) != (
            quantizer,
            source.prelude,
        ):
            raise operator.error("quantizes the input another way than the quantizer before it")
        self.quantizer, self.zero, self.prelude = quantizer, form.zero, source.prelude
        self.builder.formats[INPUT] = form.format
        return Codes(tensor=INPUT, shape=source.shape, base=quantizer.zero - form.zero)
