"""Co-simulation of the same cycles on two simulators: Verilator and Amaranth's own.

Both are driven by the same schedule of beats and pauses. They must give the same results in the
same cycles, and toggle the same named nets as often, block by block.
"""

import dataclasses
import functools
import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from amaranth.hdl import Value

from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.operands import beats
from adq.verif.operands.jobs import Job
from adq.verif.signoff.regression.runs import PORTS
from adq.verif.simulation.simulator import SimulationError, build
from adq.verif.simulation.switching.activity import count_activity, flatten
from adq.verif.simulation.switching.net_classes import NetClass

__all__ = ["Played", "Schedule", "Twin", "schedule_of"]

RESET_CYCLES = 2

INPUTS = ("jobs", "weights", "activations")

UNNAMED = re.compile(r"\bport\$")
"""Names that Amaranth gives to expressions at the boundary of a component: no signal has them."""


@dataclass
class Schedule:
    """Stimulus of the ports.

    Attributes
    ----------
    beats : of each input stream, pairs of idle cycles and the payload behind them
    ready : whether the sink takes a result, cycle by cycle
    """

    beats: dict[str, list[tuple[int, int]]]
    ready: list[int]

    @property
    def cycles(self) -> int:
        """Number of simulated cycles, including reset."""
        return len(self.ready)


def schedule_of(
    parameters: TileParameters, jobs: Sequence[Job], *, seed: int, cycles: int
) -> Schedule:
    """Return jobs with random pauses on each port."""
    chance = random.Random(seed)
    streams: dict[str, list[int]] = {name: [] for name in INPUTS}
    for job in jobs:
        streams["jobs"].append(int.from_bytes(job.beat(parameters), "little"))
        for weights, activations in zip(job.weights, job.activations, strict=True):
            for name, octets in (
                ("weights", beats.weight_beats(parameters, weights, job.weight_bits)),
                ("activations", beats.activation_beats(parameters, activations)),
            ):
                streams[name] += [int.from_bytes(bytes(beat), "little") for beat in octets]
    return Schedule(
        beats={
            name: [(chance.choice((0, 0, 0, 1, 3)), payload) for payload in payloads]
            for name, payloads in streams.items()
        },
        ready=[int(chance.random() < 0.7) for _ in range(cycles)],
    )


class Driver:
    """Computes the inputs of each cycle from the tile's outputs in the cycle before."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.left = {name: [list(beat) for beat in of] for name, of in schedule.beats.items()}
        self.cycle = -1
        self.results: list[tuple[int, int]] = []

    def inputs(self) -> dict[str, int]:
        """Return the inputs of the next cycle, by port."""
        self.cycle += 1
        running = self.cycle >= RESET_CYCLES
        inputs = {"rst": int(not running), "results__ready": self.schedule.ready[self.cycle]}
        for name, of in self.left.items():
            valid = running and bool(of) and of[0][0] == 0
            inputs[f"{name}__valid"] = int(valid)
            inputs[f"{name}__payload"] = of[0][1] if valid else 0
        return inputs

    def outputs(self, values: dict[str, int]) -> None:
        """Take the outputs of this cycle, after all signals have settled."""
        if self.cycle < RESET_CYCLES:
            return
        for name, of in self.left.items():
            if values[f"{name}__valid"] and values[f"{name}__ready"]:
                of.pop(0)
            elif of and of[0][0]:
                of[0][0] -= 1
        if values["results__valid"] and values["results__ready"]:
            self.results.append((self.cycle, values["results__payload"]))


@dataclass
class Played:
    """Result of a simulator.

    Attributes
    ----------
    results : cycle and payload of every beat
    toggles : of each block's named nets, after reset
    """

    results: list[tuple[int, int]] = field(default_factory=list)
    toggles: dict[str, int] = field(default_factory=dict)


class Twin:
    """A tile for both simulators, and the nets that both count."""

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        counted = count_activity(Tile(parameters), name="tile")
        netlist, _ = flatten(Tile(parameters), "tile")
        driven = _driven(netlist)
        self.nets: dict[str, list[tuple[str, int]]] = defaultdict(list)
        """Names of each block's nets, with a mask of the bits that are counted."""
        self.unnamed: list[str] = []
        lines, block = [], ""
        for line in counted.verilog.splitlines():
            if line.startswith("  // "):
                block = NetClass.parse(line.removeprefix("  // ")).block
            if UNNAMED.search(line) and "$countones" in line:
                continue
            lines.append(line)
            if found := re.search(r"before_\d+ <= (.*);", line):
                for name, last, first in re.findall(r"\\(\S+) (?:\[(\d+):(\d+)\])?", found[1]):
                    if UNNAMED.search(name):
                        self.unnamed.append(name)
                        continue
                    bits = netlist["netnames"][name]["bits"]
                    counted_bits = range(int(first or 0), int(last or len(bits) - 1) + 1)
                    mask = sum(1 << bit for bit in counted_bits if bits[bit] in driven)
                    self.nets[block].append((name, mask))
        self.design = dataclasses.replace(counted, verilog="\n".join(lines))

    def on_verilator(self, schedule: Schedule, *, directory: Path, cache: Path) -> Played:
        """Play a schedule on the compiled model.

        Raises
        ------
        SimulationError
            If the model cannot be built, or the simulation breaks off.
        """
        model = build(
            cache,
            top="tile",
            ports=[*PORTS, "switching"],
            sources={"tile.v": self.design.verilog},
        )
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "schedule.json").write_text(json.dumps(asdict(schedule)))
        model.run("adq.verif.cocotb.twin.test_twin", directory=directory.resolve())
        document = json.loads((directory / "twin.json").read_text())
        first, last = (self.design.counts(value).blocks for value in document["switching"])
        toggles = {
            block: last[block]["toggles"] - first[block]["toggles"] for block in self.design.blocks
        }
        return Played([tuple(beat) for beat in document["results"]], toggles)

    def on_amaranth(self, schedule: Schedule) -> Played:
        """Play a schedule on Amaranth's simulator."""
        from amaranth.hdl import Fragment
        from amaranth.sim import Simulator

        tile = Tile(self.parameters)
        fragment = Fragment.get(tile, None)
        # With the ports of the Verilog, signals get the names that they have there. Amaranth's
        # simulator tells them by its private design alone.
        fragment.prepare = functools.partial(fragment.prepare, ports=_ports(tile))
        simulator = Simulator(fragment)
        signals = {
            ".".join((*part.name[1:], name)): signal
            for part in simulator._design.fragments.values()
            for signal, name in part.signal_names.items()
        }
        for name in (name for nets in self.nets.values() for name, _ in nets):
            if name not in signals:
                raise SimulationError(f"Amaranth's simulator knows no net {name}")
        counted = [
            (block, signals[name], mask) for block, nets in self.nets.items() for name, mask in nets
        ]
        ports = [name for name in PORTS if name.partition("__")[2]]
        toggles = dict.fromkeys(self.design.blocks, 0)
        driver = Driver(schedule)

        async def play(context):
            before = None
            for cycle in range(schedule.cycles):
                for name, value in driver.inputs().items():
                    context.set(signals[name], value)
                read = [*(signals[name] for name in ports), *(entry[1] for entry in counted)]
                _, _, *values = await context.tick().sample(*read)
                driver.outputs(dict(zip(ports, values, strict=False)))
                now = [
                    int(value) & mask
                    for value, (_, _, mask) in zip(values[len(ports) :], counted, strict=True)
                ]
                if before is not None and RESET_CYCLES < cycle < schedule.cycles - 1:
                    for (block, *_), old, new in zip(counted, before, now, strict=True):
                        toggles[block] += (old ^ new).bit_count()
                before = now

        simulator.add_clock(1e-9)
        simulator.add_testbench(play)
        simulator.run()
        return Played(driver.results, toggles)


def _ports(tile: Tile) -> dict[str, tuple[Value, None]]:
    """Return ports by their Verilog names, as Amaranth's converter takes them; it finds the
    directions.
    """
    return {
        "__".join(map(str, path)): (Value.cast(value), None)
        for path, _, value in tile.signature.flatten(tile)
    }


def _driven(netlist: dict) -> set[int]:
    """Return the nets that a cell or an input drives. A net without readers is not driven in the
    counted netlist, and stays 0 there.
    """
    driven = set()
    for port in netlist["ports"].values():
        if port["direction"] == "input":
            driven.update(port["bits"])
    for cell in netlist["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                driven.update(bits)
    return driven
