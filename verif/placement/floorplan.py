"""The die: rows of sites, pins of the tile on its sides, and macros."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adq.verif.placement.errors import PlacementError
from adq.verif.placement.geometry import Geometry
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["TILE_SIDES", "Floorplan", "Macro", "MacroPin", "plan_die"]

TILE_SIDES = {
    "activations": "left",
    "jobs": "left",
    "clk": "left",
    "rst": "left",
    "counter": "right",
    "weights": "top",
    "results": "bottom",
}
"""Side of the die for ports of the tile, by the start of their names: word lines run from the left,
columns add up towards the bottom."""

SIDES = ("left", "right", "top", "bottom")

MOST_UTILIZATION = 0.95
"""Above it rows rarely hold all cells: widths are whole sites, and every row has a rest."""


@dataclass(frozen=True)
class MacroPin:
    """A pin of a macro.

    Attributes
    ----------
    x, y : position in the macro, in um
    direction : seen from the macro
    """

    net: Net
    x: float
    y: float
    direction: Literal["input", "output"]


@dataclass(frozen=True)
class Macro:
    """A block of fixed size and position, as a memory.

    Attributes
    ----------
    name : of the instance
    cell : kind of block; all of a kind have the same size and the same pins in the same places
    x, y, width, height : um; the lower left corner and the size
    """

    name: str
    cell: str
    x: float
    y: float
    width: float
    height: float
    pins: Mapping[str, MacroPin]

    @property
    def instance(self) -> Instance:
        """The macro in a netlist."""
        return Instance(self.name, self.cell, {name: pin.net for name, pin in self.pins.items()})

    def overlaps(self, other: "Macro") -> bool:
        """Return whether two macros cover a common place."""
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height

    @property
    def outline(self) -> tuple[object, ...]:
        """Size and pins, which all macros of a kind have in common."""
        pins = {name: (pin.x, pin.y, pin.direction) for name, pin in self.pins.items()}
        return self.width, self.height, pins


@dataclass(frozen=True)
class Floorplan:
    """A die of ``rows`` rows of ``sites`` sites, from the lower left corner on.

    Attributes
    ----------
    ports : position of each bit of each port, in um, by name and bit
    """

    geometry: Geometry
    rows: int
    sites: int
    ports: Mapping[tuple[str, int], tuple[float, float]]
    macros: tuple[Macro, ...] = ()

    @property
    def width(self) -> float:
        """Um"""
        return self.sites * self.geometry.site_width

    @property
    def height(self) -> float:
        """Um"""
        return self.rows * self.geometry.row_height

    @property
    def area(self) -> float:
        """um2"""
        return self.width * self.height


def plan_die(
    netlist: Netlist,
    geometry: Geometry,
    *,
    utilization: float,
    aspect: float = 1.0,
    sides: Mapping[str, str] = TILE_SIDES,
    macros: Sequence[Macro] = (),
) -> Floorplan:
    """Choose the size of the die and the positions of its ports.

    Parameters
    ----------
    utilization
        Area of cells over the area of rows that no macro covers.
    aspect
        Height of the die over its width.
    sides
        Side for each port, by the start of its name; the right for others.

    Raises
    ------
    PlacementError
        If an option is out of range, the library lacks a cell's size, or macros cannot be placed:
        one lies outside, two overlap, or their names, kinds or pins do not suit the netlist.
    """
    if not 0 < utilization <= MOST_UTILIZATION:
        raise PlacementError(
            f"utilization {utilization:g}: must be above 0 and at most {MOST_UTILIZATION:g}: cells "
            "do not fill rows without a rest"
        )
    if not 0.1 <= aspect <= 10:
        raise PlacementError(f"aspect ratio {aspect:g}: must be from 0.1 to 10")
    widths = geometry.widths(instance.cell for instance in netlist.instances)
    cells = sum(widths) * geometry.site_width * geometry.row_height
    area = cells / utilization + sum(macro.width * macro.height for macro in macros)
    rows = max(1, round(math.sqrt(area * aspect) / geometry.row_height))
    sites = math.ceil(area / (rows * geometry.row_height * geometry.site_width))
    plan = Floorplan(geometry, rows, max(sites, *widths), {}, tuple(macros))
    _check_macros(plan, netlist)
    return Floorplan(geometry, plan.rows, plan.sites, _ports(netlist, plan, sides), plan.macros)


def _check_macros(plan: Floorplan, netlist: Netlist) -> None:
    before: list[Macro] = []
    words = netlist.net_words()
    taken = {*words.values(), *(instance.name for instance in netlist.instances)}
    cells = {instance.cell for instance in netlist.instances}
    for macro in plan.macros:
        if macro.x < 0 or macro.y < 0 or macro.width <= 0 or macro.height <= 0:
            raise PlacementError(f"macro {macro.name}: its size or position is below 0")
        if macro.x + macro.width > plan.width or macro.y + macro.height > plan.height:
            raise PlacementError(
                f"macro {macro.name}: reaches out of the die of {plan.width:.1f} x "
                f"{plan.height:.1f} um: lower the utilization, or move it"
            )
        if macro.name in taken or macro.cell in cells:
            raise PlacementError(
                f"macro {macro.name} of kind {macro.cell}: a net or an instance has this name, or "
                "a cell this kind: choose another one"
            )
        taken.add(macro.name)
        for other in before:
            if macro.overlaps(other):
                raise PlacementError(f"macros {other.name} and {macro.name} overlap: move one")
            if macro.cell == other.cell and macro.outline != other.outline:
                raise PlacementError(
                    f"macros {other.name} and {macro.name} are of kind {macro.cell}, and differ in "
                    "size or pins: give them kinds of their own"
                )
        before.append(macro)
        for name, pin in macro.pins.items():
            if not (0 <= pin.x <= macro.width and 0 <= pin.y <= macro.height):
                raise PlacementError(f"macro {macro.name}: pin {name} lies outside of it")
            if pin.net not in words:
                raise PlacementError(
                    f"macro {macro.name}: pin {name} is on net {pin.net}, which the netlist has not"
                )


def _ports(
    netlist: Netlist, plan: Floorplan, sides: Mapping[str, str]
) -> dict[tuple[str, int], tuple[float, float]]:
    """Spread the bits of each side's ports evenly along it, in the order of the ports."""
    on: dict[str, list[tuple[str, int]]] = {side: [] for side in SIDES}
    for name, (_, bits) in netlist.ports.items():
        side = next((side for start, side in sides.items() if name.startswith(start)), "right")
        on[side] += [(name, bit) for bit in range(len(bits))]
    found = {}
    for side, pins in on.items():
        for number, pin in enumerate(pins):
            part = (number + 0.5) / len(pins)
            found[pin] = {
                "left": (0.0, part * plan.height),
                "right": (plan.width, part * plan.height),
                "top": (part * plan.width, plan.height),
                "bottom": (part * plan.width, 0.0),
            }[side]
    return found
