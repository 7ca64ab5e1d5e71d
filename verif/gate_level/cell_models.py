"""Simulation models of a library's cells, from the functions of its liberty file."""

from collections.abc import Iterable

from adq.verif.liberty.cells import Cell, Pin
from adq.verif.liberty.functions import evaluate
from adq.verif.liberty.library import Library

__all__ = ["CellModelError", "cell_expressions", "cell_models"]


class CellModelError(ValueError):
    """A cell that cannot be simulated."""


class _Verilog(str):
    """An expression, with the operators of the functions of liberty files."""

    def __and__(self, other: str) -> "_Verilog":
        return _Verilog(f"({self} & {other})")

    def __or__(self, other: str) -> "_Verilog":
        return _Verilog(f"({self} | {other})")

    def __xor__(self, other: str) -> "_Verilog":
        return _Verilog(f"({self} ^ {other})")


def cell_models(library: Library, cells: Iterable[str]) -> str:
    """Return Verilog modules of some of a library's cells, without delays.

    Flip-flops and clock gates are those on a rising clock, latches are transparent while their
    enable is high. A clock gate's latch follows its enable while the clock is low; the liberty file
    tells its behaviour by a keyword, not by a function.

    Raises
    ------
    CellModelError
        If the library has no such cell, or a cell is of a kind, or a pin of a function, that is
        not understood.
    """
    return "\n".join(_module(library, name) for name in sorted(set(cells)))


def _module(library: Library, name: str) -> str:
    if name not in library.cells:
        raise CellModelError(f"{library.path}: has no cell {name}")
    cell = library.cells[name]
    lines = [f"module {name} ({', '.join(cell.pins)});"]
    lines += [f"  {pin.direction} {pin.name};" for pin in cell.pins.values()]
    try:
        lines += _behaviour(cell)
    except (CellModelError, ValueError) as error:
        raise CellModelError(f"{library.path}: cell {name}: {error}") from None
    return "\n".join([*lines, "endmodule", ""])


def cell_expressions(cell: Cell) -> dict[str, str]:
    """Return Verilog expressions of a cell's behaviour.

    Each output's has its own name; a flip-flop and a latch have ``clock`` and ``next``, what they
    take, and their outputs are functions of their state's name; a clock gate has ``clock`` and
    ``enable``.

    Raises
    ------
    CellModelError
        If the cell is of a kind, or a pin of a function, that is not understood.
    """
    values = {pin.name: _Verilog(pin.name) for pin in cell.inputs}
    found: dict[str, str] = {}
    if cell.sequential in ("ff", "latch"):
        stored, inverted = cell.state
        found["clock"] = _expression(cell.clocked_on, values)
        values |= {stored: _Verilog(stored), inverted: _Verilog(f"(~{stored})")}
        # With an enable the next state may be the present one.
        found["next"] = _expression(cell.next_state, values)
    elif cell.sequential == "clock_gate":
        clock = next(pin.name for pin in cell.inputs if pin.role == "clock")
        enable = " | ".join(pin.name for pin in cell.inputs if pin.role in ("enable", "test"))
        return {"clock": clock, "enable": enable}
    elif cell.sequential:
        raise CellModelError(f"a {cell.sequential} is not simulated")
    return found | {pin.name: _function(pin, values) for pin in cell.outputs}


def _behaviour(cell: Cell) -> list[str]:
    expressions = cell_expressions(cell)
    if cell.sequential == "clock_gate":
        clock = expressions["clock"]
        [output] = cell.outputs
        return [
            "  reg enabled = 0;",
            f"  always_latch if (!{clock}) enabled <= {expressions['enable']};",
            f"  assign {output.name} = {clock} & enabled;",
        ]
    state = []
    if cell.sequential:
        stored = cell.state[0]
        clock, following = expressions["clock"], expressions["next"]
        latch = cell.sequential == "latch"
        when = f"always_latch if ({clock})" if latch else f"always @(posedge {clock})"
        state = [f"  reg {stored} = 0;", f"  {when} {stored} <= {following};"]
    return [*state, *(f"  assign {p.name} = {expressions[p.name]};" for p in cell.outputs)]


def _function(pin: Pin, values: dict[str, _Verilog]) -> _Verilog:
    if not pin.function:
        raise CellModelError(f"pin {pin.name} has no function")
    return _expression(pin.function, values)


def _expression(text: str, values: dict[str, _Verilog]) -> _Verilog:
    expression: _Verilog = evaluate(text, {**values, "0": _Verilog("1'b0"), "1": _Verilog("1'b1")})
    return expression
