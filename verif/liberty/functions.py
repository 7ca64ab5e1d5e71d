"""Boolean functions of liberty files."""

import itertools
import re
from typing import Any

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import LibertyError, Library

__all__ = ["evaluate", "find_adder", "truth_table"]

_TOKEN = re.compile(r"\s*([A-Za-z_][\w\[\]]*|[01]|['!^&*|+()])")


def truth_table(function: str, inputs: list[str]) -> int:
    """Return the values of a function for all values of its inputs, the first input toggling
    fastest: bit ``i`` is the value where input ``j`` equals bit ``j`` of ``i``.

    Raises
    ------
    ValueError
        If the function has another name in it, or is not one.
    """
    size = 2 ** len(inputs)
    values = {name: sum(1 << i for i in range(size) if i >> j & 1) for j, name in enumerate(inputs)}
    return int(evaluate(function, {**values, "0": 0, "1": 2**size - 1}))


def evaluate(function: str, values: dict[str, Any]) -> Any:
    """Evaluate a function for values that have the operators ``&``, ``|`` and ``^``: integers
    (bitwise), arrays, or expressions. ``values`` maps the allowed names, ``"0"`` and ``"1"`` to
    values.

    Raises
    ------
    ValueError
        If the function has another name in it, or is not one.
    """
    return _Expression(function, values).value()


class _Expression:
    """``'`` and ``!`` negate; then in falling order ``^``, ``&`` (or ``*``, or nothing), ``|`` (or
    ``+``).
    """

    def __init__(self, text: str, values: dict[str, Any]):
        self.text, self.values, self.ones = text, values, values["1"]
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != "".join(text.split()):
            raise ValueError(f"not a function: {text!r}")

    def value(self) -> Any:
        value = self._or()
        if self.tokens:
            raise ValueError(f"not a function: {self.text!r}")
        return value

    def _next(self, *wanted: str) -> bool:
        found = bool(self.tokens) and self.tokens[0] in wanted
        if found:
            self.tokens.pop(0)
        return found

    def _or(self) -> Any:
        value = self._and()
        while self._next("|", "+"):
            value = value | self._and()
        return value

    def _and(self) -> Any:
        value = self._xor()
        while self._next("&", "*") or (self.tokens and self.tokens[0] not in ("|", "+", ")")):
            value = value & self._xor()
        return value

    def _xor(self) -> Any:
        value = self._unary()
        while self._next("^"):
            value = value ^ self._unary()
        return value

    def _unary(self) -> Any:
        if self._next("!"):
            return self._unary() ^ self.ones
        if self._next("("):
            value = self._or()
            closed = self._next(")")
        else:
            name = self.tokens.pop(0) if self.tokens else ""
            closed = name in self.values
            value = self.values.get(name, self.ones)
        if not closed:
            raise ValueError(f"not a function of {', '.join(self.values)}: {self.text!r}")
        while self._next("'"):
            value = value ^ self.ones
        return value


def find_adder(library: Library, inputs: int) -> tuple[Cell, str, str] | None:
    """Return the smallest adder cell of two or three inputs, its sum and its carry pin.

    Raises
    ------
    LibertyError
        If a cell that may be one has a function that is none.
    """
    bits = [sum(values) for values in itertools.product((0, 1), repeat=inputs)]
    total, carry = (sum((n >> j & 1) << i for i, n in enumerate(bits)) for j in (0, 1))
    found = None
    for cell in library.cells.values():
        pins = [pin.name for pin in cell.inputs]
        outputs = {pin.name: pin.function for pin in cell.outputs}
        if len(pins) != inputs or len(outputs) != 2 or cell.sequential or not cell.usable:
            continue
        try:
            tables = {truth_table(function, pins): pin for pin, function in outputs.items()}
        except ValueError as error:
            raise LibertyError(f"{library.path}: cell {cell.name}: {error}") from None
        smaller = found is None or cell.area < found[0].area
        if set(tables) == {total, carry} and smaller:
            found = cell, tables[total], tables[carry]
    return found
