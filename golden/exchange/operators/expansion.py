"""Writes operators on integers as what they mean: dequantize, compute, quantize.

ONNX has QLinearConv and QLinearMatMul, ONNX Runtime adds others in its own domain, in what it calls
QOperator form.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from adq.golden.exchange.opening import Operator

_UNARY = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu",
}
"""Operators with inputs x, its scale and zero point, and scale and zero point of the output."""

_BINARY = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
"""Operators with a second tensor, its scale and zero point after the first one's."""


def expanded(operators: Iterable[Operator]) -> Iterator[Operator]:
    """Yield operators, those on integers as several.

    Raises
    ------
    ExchangeError
        One has too few inputs, or reads images whose channels are last.

    """
    operators = list(operators)
    names = {name for each in operators for name in (*each.inputs, each.output)}
    mark = "~"
    while any(name.startswith(mark) for name in names):
        mark += "~"
    for operator in operators:
        if operator.kind.startswith("QLinear") or operator.kind == "QGemm":
            yield from _Expansion(operator, mark).operators()
        else:
            yield operator


class _Expansion:
    """The operators that stand for one; its inner tensors have names that no other has."""

    def __init__(self, operator: Operator, mark: str):
        self.operator, self.mark, self.number = operator, mark, 0
        self.made: list[Operator] = []

    def operators(self) -> list[Operator]:
        operator = self.operator
        kind = operator.kind
        if kind in _UNARY:
            real = self._add(_UNARY[kind], self._real(0), **self._attributes())
            self._quantize(real, 3)
        elif kind in _BINARY:
            real = self._add(_BINARY[kind], self._real(0), self._real(3), **self._attributes())
            self._quantize(real, 6)
        elif kind == "QLinearConcat":
            parts = [self._real(place) for place in range(2, len(operator.inputs), 3)]
            self._quantize(self._add("Concat", *parts, **self._attributes()), 0)
        elif kind == "QLinearConv":
            inputs = [self._real(0), self._real(3, axis=0), *self._bias(8)]
            self._quantize(self._add("Conv", *inputs, **self._attributes()), 6)
        elif kind == "QLinearMatMul":
            product = self._add(
                "MatMul", self._real(0), self._real(3, axis=1), **self._attributes()
            )
            self._quantize(product, 6)
        elif kind == "QGemm":
            axis = 0 if operator.attributes.get("transB") else 1
            inputs = [self._real(0), self._real(3, axis=axis), *self._bias(6)]
            real = self._add("Gemm", *inputs, **self._attributes())
            self._quantize(real, 7)
        else:
            raise operator.error("has no integer form here: export the network in QDQ form")
        return self.made

    def _input(self, place: int) -> str:
        inputs = self.operator.inputs
        return inputs[place] if place < len(inputs) else ""

    def _attributes(self) -> dict[str, Any]:
        attributes = dict(self.operator.attributes)
        if attributes.pop("channels_last", 0):
            raise self.operator.error("reads images whose channels are last")
        return attributes

    def _add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        self.number += 1
        output = output or f"{self.mark}{self.operator.output}/{self.number}"
        self.made.append(
            dataclasses.replace(
                self.operator, kind=kind, inputs=inputs, output=output, attributes=attributes
            )
        )
        return output

    def _real(self, place: int, **attributes: Any) -> str:
        """Dequantize a tensor whose scale and zero point follow it."""
        parts = [self._input(each) for each in range(place, place + 3)]
        if not all(parts[:2]):
            raise self.operator.error(f"has no input {place}, or no scale of it")
        return self._add("DequantizeLinear", *parts, **attributes)

    def _bias(self, place: int) -> list[str]:
        """Dequantize a bias, whose scale is the product of those of input and weights."""
        if not self._input(place):
            return []
        scale = self._add("Mul", self._input(1), self._input(4))
        return [self._add("DequantizeLinear", self._input(place), scale, axis=0)]

    def _quantize(self, real: str, place: int) -> None:
        scale, zero = self._input(place), self._input(place + 1)
        if not scale:
            raise self.operator.error("gives numbers in floating point: quantize them")
        self._add("QuantizeLinear", real, scale, zero, output=self.operator.output)
