"""Simulation of mapped netlists by the truth tables of their cells, and traces of the RTL."""

import random

from amaranth.hdl import Value
from amaranth.sim import Simulator

from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Netlist


class NetlistSimulator:
    """Runs a netlist cycle by cycle, by the truth tables of its cells, from all zeros.

    In the second half of a cycle latches take their data, and what reads them follows.
    """

    def __init__(self, netlist: Netlist, library: Library):
        self.netlist = netlist
        self.values = dict.fromkeys(netlist.nets(), 0) | {"0": 0, "1": 1, "x": 0}
        self.flip_flops, self.latches, gates, cells = [], [], {}, []
        for instance in netlist.instances:
            cell = library.cells[instance.cell]
            if cell.sequential == "clock_gate":
                gates[instance.pins["GCK"]] = instance.pins
            elif cell.sequential == "ff":
                self.flip_flops.append(instance.pins)
            elif cell.sequential == "latch":
                self.latches.append(instance.pins)
            else:
                cells.append((instance.pins, cell))
        self.enables = [self._enables(pins["CK"], gates) for pins in self.flip_flops]
        self.opened = [self._enables(pins["G"], gates) for pins in self.latches]
        self.settle = self._compile(cells)

    @staticmethod
    def _enables(clock, gates) -> list:
        """Return the nets that must be high for a clock to pass its gates, one behind another."""
        enables = []
        while clock in gates:
            enables.append(gates[clock]["E"])
            clock = gates[clock]["CK"]
        return enables

    def _compile(self, cells):
        """A function that sets every net, cells in the order of their depth."""
        drivers = {pins[p.name]: (pins, cell) for pins, cell in cells for p in cell.outputs}
        lines, done = ["def settle(v):"], set()
        waiting = [(pins, cell, False) for pins, cell in cells]
        while waiting:
            pins, cell, inputs_done = waiting.pop()
            names = [pin.name for pin in cell.inputs]
            if id(pins) in done:
                continue
            if not inputs_done:
                waiting.append((pins, cell, True))
                sources = (drivers.get(pins[name]) for name in names)
                waiting += [(*source, False) for source in sources if source]
                continue
            done.add(id(pins))
            index = " | ".join(f"v[{pins[name]!r}] << {i}" for i, name in enumerate(names))
            for pin in cell.outputs:
                table = truth_table(pin.function, names)
                lines.append(f" v[{pins[pin.name]!r}] = {table} >> ({index}) & 1")
        scope = {}
        exec("\n".join(lines), scope)
        return scope["settle"]

    def cycle(self, inputs: dict[str, int]) -> dict[str, int]:
        """Outputs of a cycle, and on to the next."""
        values = self.values
        for name, number in inputs.items():
            for i, net in enumerate(self.netlist.ports[name][1]):
                values[net] = number >> i & 1
        self.settle(values)
        if self.latches:
            values |= {
                pins["Q"]: values[pins["D"]]
                for pins, enables in zip(self.latches, self.opened, strict=True)
                if all(values[enable] for enable in enables)
            }
            self.settle(values)
        outputs = {
            name: sum(values[net] << i for i, net in enumerate(bits))
            for name, (direction, bits) in self.netlist.ports.items()
            if direction == "output"
        }
        loaded = [
            (pins["Q"], values[pins["D"]])
            for pins, enables in zip(self.flip_flops, self.enables, strict=True)
            if all(values[enable] for enable in enables)
        ]
        values.update(loaded)
        return outputs


def rtl_trace(component, cycles: int, seed: int) -> list[tuple[dict, dict]]:
    """Inputs at random, and outputs, of every cycle after one of reset."""
    rng = random.Random(seed)
    streams = ("jobs", "weights", "activations")
    trace = []

    async def bench(ctx):
        for _ in range(cycles):
            job = {
                "weight_bits": rng.choice([2, 4, 8, 16, 3]),
                "activation_bits": rng.randrange(4),
                "signed": rng.randrange(2),
                "vectors": rng.randrange(3),
                "row_blocks": rng.randrange(3),
            }
            inputs = {"results__ready": int(rng.random() < 0.8)}
            for name in streams:
                stream = getattr(component, name)
                if name == "jobs":
                    ctx.set(stream.payload, job)
                else:
                    width = len(Value.cast(stream.payload))
                    ctx.set(Value.cast(stream.payload), rng.getrandbits(width))
                ctx.set(stream.valid, int(rng.random() < 0.8))
                inputs[f"{name}__payload"] = ctx.get(Value.cast(stream.payload))
                inputs[f"{name}__valid"] = ctx.get(stream.valid)
            ctx.set(component.results.ready, inputs["results__ready"])
            inputs["counter_address"] = rng.randrange(8)
            ctx.set(Value.cast(component.counter_address), inputs["counter_address"])
            outputs = {
                f"{name}__ready": ctx.get(getattr(component, name).ready) for name in streams
            }
            outputs["results__valid"] = ctx.get(component.results.valid)
            outputs["results__payload"] = ctx.get(Value.cast(component.results.payload))
            outputs["counter_data"] = ctx.get(component.counter_data)
            trace.append((inputs, outputs))
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return trace
