"""Netlist of library cells that can be edited, read and written."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adq.golden.files.json_reader import JsonObject
from adq.verif.liberty.library import Library
from adq.verif.synthesis.parasitics import Parasitics

__all__ = ["Instance", "Net", "Netlist", "wired"]

MEMORY = "$mem_v2"
"""Yosys' cell of a memory."""

MEMORY_PINS = {
    "RD_DATA": "input",
    **dict.fromkeys(("RD_ADDR", "RD_EN", "WR_ADDR", "WR_DATA", "WR_EN"), "output"),
}
"""Pins of a memory, with the directions of the ports that take its place."""

Net = int | str
"""A number, or the constant ``"0"``, ``"1"`` or ``"x"``."""


def wired(net: Net) -> int:
    """Return the number of a net that is no constant."""
    if isinstance(net, str):
        raise ValueError(f"the constant {net} is no net")
    return net


@dataclass
class Instance:
    """A cell of the netlist, the nets on its pins, and its block of the tile."""

    name: str
    cell: str
    pins: dict[str, Net]
    block: str = ""


@dataclass
class Netlist:
    """A flat netlist in which each net is one bit."""

    name: str
    ports: dict[str, tuple[str, list[Net]]]
    """Direction and nets, least significant first."""
    instances: list[Instance] = field(repr=False)
    names: dict[str, list[Net]] = field(repr=False)
    """Names from the source, and their nets."""
    parasitics: Parasitics | None = field(default=None, repr=False)
    """Wires of a placed netlist; None for those of the library's wire load model."""

    def __post_init__(self) -> None:
        # Names of nets that mapping has removed still have their numbers.
        named = (net for nets in self.names.values() for net in nets if isinstance(net, int))
        self._last = max((*self.nets(), *named), default=0)
        self._name_of: dict[Net, str] = {}
        for name, nets in [
            *self.names.items(),
            *((n, bits) for n, (_, bits) in self.ports.items()),
        ]:
            for i, net in enumerate(nets):
                self._name_of[net] = f"{name}[{i}]" if len(nets) > 1 else name

    @classmethod
    def from_json(cls, document: JsonObject) -> "Netlist":
        """Read the only module of a file written by Yosys' ``write_json``.

        Memories that are left in it become ports: what they read is an input, all else an output.
        """
        [(name, module)] = document["modules"].items()
        ports = {n: (port["direction"], port["bits"]) for n, port in module["ports"].items()}
        for n, cell in module["cells"].items():
            if cell["type"] == MEMORY:
                for pin, direction in MEMORY_PINS.items():
                    ports[f"{n}.{pin}"] = (direction, cell["connections"][pin])
        return cls(
            name=re.sub(r"\W", "_", name),
            ports=ports,
            instances=[
                Instance(
                    name=n,
                    cell=cell["type"],
                    pins={pin: bits[0] for pin, bits in cell["connections"].items()},
                    block=cell.get("attributes", {}).get("block", ""),
                )
                for n, cell in module["cells"].items()
                if cell["type"] not in ("$scopeinfo", MEMORY)
            ],
            names={n: net["bits"] for n, net in module["netnames"].items() if not net["hide_name"]},
        )

    def to_json(self, library: Library) -> JsonObject:
        """Return the netlist for Yosys' ``read_json``, with the block of each cell as an
        attribute.
        """
        cells = {
            instance.name: {
                "type": instance.cell,
                "attributes": {"block": instance.block},
                "port_directions": {
                    pin: library.cells[instance.cell].pins[pin].direction for pin in instance.pins
                },
                "connections": {pin: [net] for pin, net in instance.pins.items()},
            }
            for instance in self.instances
        }
        ports = {n: {"direction": d, "bits": bits} for n, (d, bits) in self.ports.items()}
        names = {n: {"hide_name": 0, "bits": bits} for n, bits in self.names.items()}
        return {"modules": {self.name: {"ports": ports, "cells": cells, "netnames": names}}}

    def clock_net(self, clock: str) -> int:
        """Return the net on the port of the clock, which has one bit."""
        [net] = self.ports[clock][1]
        return wired(net)

    def net_words(self) -> dict[Net, str]:
        """Return the expression of each net and constant in ``to_verilog``: a port or a bit of one,
        or a plain scalar name that starts with a letter.
        """
        words: dict[Net, str] = {"0": "1'b0", "1": "1'b1", "x": "1'b0"}
        for name, (_, bits) in self.ports.items():
            for i, net in enumerate(bits):
                words.setdefault(net, f"{name}[{i}]" if len(bits) > 1 else name)
        taken = set(self.ports) | {instance.name for instance in self.instances}
        for net in self.nets():
            if net not in words:
                word = re.sub(r"\W", "_", self.name_of(net).replace(".", "__").rstrip("]"))
                word = word if word[0].isalpha() else f"n{word}"
                while word in taken:
                    word += f"_{net}"
                taken.add(word)
                words[net] = word
        return words

    def to_verilog(self, macros: Iterable[Instance] = ()) -> str:
        """Return structural Verilog. Every net is a scalar with a plain name that starts with a
        letter, as simulators trace and power analyzers read; only ports have several bits.

        ``macros`` are blocks of no library, as memories, on nets of the netlist.
        """
        words = self.net_words()
        lines = [f"module {self.name} ({', '.join(self.ports)});"]
        assigns = []
        on_ports = set()
        for name, (direction, bits) in self.ports.items():
            width = f"[{len(bits) - 1}:0] " if len(bits) > 1 else ""
            lines.append(f"  {direction} {width}{name};")
            for i, net in enumerate(bits):
                word = f"{name}[{i}]" if len(bits) > 1 else name
                on_ports.add(net)
                if words[net] != word and direction == "output":
                    assigns.append(f"  assign {word} = {words[net]};")
        inner = (net for net in dict.fromkeys(self.nets()) if net not in on_ports)
        lines += [f"  wire {words[net]};" for net in inner]
        lines += assigns
        for instance in (*self.instances, *macros):
            pins = ", ".join(f".{pin}({words[net]})" for pin, net in instance.pins.items())
            lines.append(f"  {instance.cell} {instance.name} ({pins});")
        return "\n".join([*lines, "endmodule", ""])

    def connect_outputs(self, library: Library) -> None:
        """Connect each open output to a new net, since it toggles as well."""
        for instance in self.instances:
            for pin in library.cells[instance.cell].outputs:
                if not isinstance(instance.pins.get(pin.name), int):
                    instance.pins[pin.name] = self.new_net()

    def nets(self) -> Iterator[int]:
        """Return every net that is connected to a port or a pin, once each."""
        for _, bits in self.ports.values():
            yield from (bit for bit in bits if isinstance(bit, int))
        for instance in self.instances:
            yield from (net for net in instance.pins.values() if isinstance(net, int))

    def new_net(self) -> int:
        """Return a new, unconnected net."""
        self._last += 1
        return self._last

    def name_of(self, net: Net) -> str:
        """Return a source name of a net with its bit, or its number."""
        return self._name_of.get(net, f"n{net}")
