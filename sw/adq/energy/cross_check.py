"""Static timing and power of a mapped tile by OpenSTA, beside this project's."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adq.verif.gate_level.pin_activity import pin_activity
from adq.verif.gate_level.switching import Counts
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.operands.jobs import Job
from adq.verif.placement.netlists import copied
from adq.verif.processes import run_to_end
from adq.verif.simulation.switching.saif import Saif, write_saif
from adq.verif.synthesis.netlist import Instance, Net, Netlist
from adq.verif.synthesis.timing import TimingGraph

__all__ = ["CrossCheck", "CrossCheckError", "Pair", "cross_check", "opensta_version"]

STA = "sta"

SPEF = "wires.spef"

NETLIST, REGISTERED = "netlist.v", "registered.v"

NO_SAIF = (
    "OpenSTA {version} is too old for read_saif: activities are set pin by pin, and power inside "
    "cells is left out of the comparison, since this version takes every register as clocked in "
    "every cycle and adds up the tables of all inputs of a cell. Build a newer one for that: "
    "https://github.com/parallaxsw/OpenSTA"
)


LEAST = 1e-9
"""Toggles a cycle of a pin that does not toggle."""


class CrossCheckError(RuntimeError):
    """OpenSTA could not be asked."""


@dataclass(frozen=True)
class Pair:
    """A quantity by OpenSTA and by this project."""

    opensta: float
    ours: float

    @property
    def difference(self) -> float:
        """How much more OpenSTA finds, as a share of ours."""
        return self.opensta / self.ours - 1


@dataclass(frozen=True)
class CrossCheck:
    """Figures of both programs for a tile at 8x8 bits, half of the words zero.

    Attributes
    ----------
    longest_path_ns : from a register or an input to the next, setup time included
    net_mw : by window, power of nets that cells other than clock gates drive
    internal_mw : by window, power inside cells, or None where this OpenSTA cannot tell it
    block_net_mw : by window and block that takes some, what ``net_mw`` sums up
    message : what this version of OpenSTA cannot do, or empty
    """

    version: str
    library: str
    rows: int
    columns: int
    voltage: float
    temperature: float
    period_ns: float
    longest_path_ns: Pair
    net_mw: Mapping[str, Pair]
    internal_mw: Mapping[str, Pair] | None
    pins: int
    message: str
    block_net_mw: Mapping[str, Mapping[str, Pair]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "CrossCheck":
        """Read what ``to_json`` gave."""
        fields = dict(content)
        fields["longest_path_ns"] = Pair(**fields["longest_path_ns"])
        for name in ("net_mw", "internal_mw"):
            if fields[name] is not None:
                fields[name] = {window: Pair(**pair) for window, pair in fields[name].items()}
        blocks = fields.get("block_net_mw", {})
        fields["block_net_mw"] = {
            window: {block: Pair(**pair) for block, pair in of_blocks.items()}
            for window, of_blocks in blocks.items()
        }
        return cls(**fields)


def opensta_version() -> str | None:
    """Return the version of the OpenSTA on this machine, or None where there is none."""
    if shutil.which(STA) is None:
        return None
    return run_to_end([STA, "-version"]).stdout.strip() or None


def cross_check(
    tile: GateLevelTile, jobs: Sequence[Job], *, name: str, directory: Path, spef: str | None = None
) -> CrossCheck:
    """Run jobs on a tile's netlist, and ask OpenSTA for its longest path and its power.

    Parameters
    ----------
    name
        Of the library.
    directory
        Folder for the netlist, activities and scripts.
    spef
        Wires of a placed netlist, in the place of the wire load model's.

    Raises
    ------
    CrossCheckError
        If there is no OpenSTA, or it does not answer.
    SimulationError
        If the simulation fails.
    """
    version = opensta_version()
    if version is None:
        raise CrossCheckError(f"{STA} is not on this machine")
    directory.mkdir(parents=True, exist_ok=True)
    run = tile.run(jobs, directory=directory)
    (directory / NETLIST).write_text(tile.netlist.to_verilog())
    (directory / "library.lib").write_bytes(tile.library.text)
    reads_saif = "read_saif" in _ask(directory, ["puts [info commands read_saif]"])
    gates = {
        instance.name
        for instance in tile.netlist.instances
        if tile.library.cells[instance.cell].sequential == "clock_gate"
    }
    setup = [*_setup(tile, NETLIST, placed=spef is not None)]
    power_setup = setup
    if not reads_saif:
        registered = _registered_inputs(tile)
        (directory / REGISTERED).write_text(registered.to_verilog())
        power_setup = [*_setup(tile, REGISTERED, placed=spef is not None)]
        power_setup += _idle(registered.instances[len(tile.netlist.instances) :])
    if spef is not None:
        (directory / SPEF).write_text(spef)
    nets: dict[str, Pair] = {}
    internal: dict[str, Pair] = {}
    path, pins = 0.0, 0
    blocks: dict[str, dict[str, Pair]] = {}
    block_of = {i.name: i.block for i in tile.netlist.instances if i.name not in gates}
    for window, counts in run.counts.items():
        saif = pin_activity(tile.switching, counts, period_ns=tile.period)
        activities = _activities(saif, counts)
        if reads_saif:
            write_saif(directory / f"{window}.saif", saif)
            activities = iter([f"read_saif -scope tile {window}.saif"])
        report = "report_power -digits 9 -instances [get_cells *]"
        text = _ask(directory, [*setup, "report_worst_slack -digits 6"])
        text += _ask(directory, [*power_setup, *activities, report])
        slack = re.search(r"worst slack\s*(?:max)?\s*(-?[\d.]+)", text)
        powers = {
            words[-1]: [float(word) * 1e3 for word in words[:2]]
            for words in map(str.split, text.splitlines())
            if len(words) == 5 and _number(words[0])
        }
        if slack is None or len(powers) < len(tile.netlist.instances):
            last = (text.strip().splitlines() or ["nothing"])[-1]
            raise CrossCheckError(f"{STA} {version} gave no report; its last words: {last}")
        path = tile.period - float(slack[1])
        pins = sum(len(key) == 2 for key in saif.nets)
        seconds = counts.cycles * tile.period * 1e-9
        own_nets, own_internal = _own(tile, counts, gates)
        blocks[window] = {
            block: Pair(
                sum(powers[cell][1] for cell, its in block_of.items() if its == block),
                energy * 1e-12 / seconds,
            )
            for block, energy in own_nets.items()
            if energy
        }
        nets[window] = Pair(
            sum(powers[cell][1] for cell in block_of),
            sum(own_nets.values()) * 1e-12 / seconds,
        )
        internal[window] = Pair(
            sum(power[0] for power in powers.values()), own_internal * 1e-12 / seconds
        )
    library = tile.library
    return CrossCheck(
        version=version,
        library=name,
        rows=tile.parameters.rows,
        columns=tile.parameters.columns,
        voltage=library.voltage,
        temperature=library.temperature,
        period_ns=tile.period,
        longest_path_ns=Pair(path, tile.synthesis.timing.delay),
        net_mw=nets,
        internal_mw=internal if reads_saif else None,
        pins=pins,
        message="" if reads_saif else NO_SAIF.format(version=version),
        block_net_mw=blocks,
    )


def _registered_inputs(tile: GateLevelTile) -> Netlist:
    """Return the netlist with a flip-flop behind each bit of an input port, but the clock's.

    OpenSTA before ``read_saif`` propagates activities from the input ports, and puts them in the
    place of those that are given for pins, up to the first flip-flops.
    """
    flip_flop = tile.library.flip_flops()[0]
    output = flip_flop.outputs[0].name
    found = copied(tile.netlist)
    found.ports = dict(found.ports)
    clock = found.clock_net(tile.CLOCK)
    for port, (direction, bits) in tile.netlist.ports.items():
        if direction == "input" and port != tile.CLOCK:
            outside: list[Net] = []
            for bit in bits:
                outside.append(found.new_net())
                pins = {flip_flop.next_state: outside[-1], flip_flop.clocked_on: clock, output: bit}
                name = f"input_register_{outside[-1]}"
                found.instances.append(Instance(name, flip_flop.name, pins))
            found.ports[port] = (direction, outside)
    return found


def _idle(instances: Iterable[Instance]) -> Iterator[str]:
    """Yield activities of pins that do next to nothing."""
    for instance in instances:
        for pin in instance.pins:
            yield _activity(f"{instance.name}/{pin}", LEAST, 0.0)


def _activity(pin: str, toggles: float, high: float) -> str:
    return f"sta::set_power_pin_activity [get_pins {pin}] {toggles:.9g} {high:.9g}"


def _setup(tile: GateLevelTile, netlist: str, *, placed: bool) -> Iterator[str]:
    """Yield the assumptions of our own static timing."""
    graph = TimingGraph(tile.netlist, tile.library)
    flip_flop = tile.library.flip_flops()[0]
    load = flip_flop.pins[flip_flop.next_state].capacitance
    yield "read_liberty library.lib"
    yield f"read_verilog {netlist}"
    yield f"link_design {tile.netlist.name}"
    yield f"create_clock -name clock -period {tile.period} [get_ports {tile.CLOCK}]"
    yield f"set_clock_transition {graph.clock_slew} [get_clocks clock]"
    yield f"set_input_transition {graph.clock_slew} [all_inputs]"
    yield "set_input_delay 0 -clock clock [all_inputs]"
    yield "set_output_delay 0 -clock clock [all_outputs]"
    yield "set_cmd_units -capacitance fF"
    yield f"set_load {load} [all_outputs]"
    if placed:
        yield f"read_spef {SPEF}"
        # A port's load is taken in the place of its net's wires: it has these, too.
        wires = tile.netlist.parasitics.capacitance if tile.netlist.parasitics else {}
        for name, (direction, bits) in tile.netlist.ports.items():
            for place, net in enumerate(bits if direction == "output" else ()):
                port = f"{name}[{place}]" if len(bits) > 1 else name
                wire = wires.get(net, 0.0) if isinstance(net, int) else 0.0
                yield f"set_load {load + wire} [get_ports {{{port}}}]"
    elif tile.library.wire_load.name:
        yield f"set_wire_load_model -name {tile.library.wire_load.name}"


def _activities(saif: Saif, counts: Counts) -> Iterator[str]:
    for key, activity in saif.nets.items():
        if len(key) == 2:
            # Old versions take 0 for an activity that is not known.
            toggles = max(activity.toggles / counts.cycles, LEAST)
            yield _activity("/".join(key), toggles, activity.high / saif.duration)


def _own(tile: GateLevelTile, counts: Counts, gates: set[str]) -> tuple[dict[str, float], float]:
    """Return the fJ of nets that cells but clock gates drive, by block, and inside all cells."""
    switching, power = tile.switching, tile.power
    spent = counts.toggles * power.load * power.voltage**2 / 2
    nets: dict[str, float] = {}
    for instance in tile.netlist.instances:
        if instance.name not in gates:
            nets[instance.block] = nets.get(instance.block, 0.0) + sum(
                float(spent[switching.row[instance.pins[pin.name]]])
                for pin in tile.library.cells[instance.cell].outputs
            )
    internal = 0.0
    for kind, energies, changes in zip(
        switching.kinds, power.energies, counts.changes, strict=True
    ):
        weights = np.array([event.weights for event in kind.events.events]).T
        internal += float(((changes @ weights) * energies).sum())
    return nets, internal


def _number(word: str) -> bool:
    return re.fullmatch(r"-?\d\.\d+e[+-]\d+", word) is not None


def _ask(directory: Path, script: list[str]) -> str:
    (directory / "script.tcl").write_text("\n".join([*script, ""]))
    command = [STA, "-no_splash", "-exit", "script.tcl"]
    ran = run_to_end(command, directory=directory)
    return ran.stdout + ran.stderr
