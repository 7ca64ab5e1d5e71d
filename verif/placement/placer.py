"""Placement of cells in rows, by the placer Coloquinte."""

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from adq.verif.placement.errors import PlacementError
from adq.verif.placement.floorplan import Floorplan
from adq.verif.synthesis.netlist import Net, Netlist

__all__ = ["Placement", "legalize", "netlist_digest", "place_cells", "require_placer"]

WHEELS = ((3, 11), (3, 12))
"""Versions of Python for which the placer has wheels."""

DENSITIES = (0.95, 0.85, None)
"""Densities up to which cells are widened while they are placed, so that they fill the die evenly;
None packs them together. The first is taken at which the cells fit: in a small die, rows hold few
cells and more is left of each."""

MOST_PINS = 200
"""Nets of more pins do not pull cells: reset and clock would drag all of them together."""


@dataclass(frozen=True)
class Placement:
    """Positions of the instances of a netlist, in their order.

    Attributes
    ----------
    netlist : digest of the netlist that was placed
    site, row : int64 of shape (instances,)
        Leftmost site and row of each instance; every second row is flipped.
    """

    floorplan: Floorplan
    netlist: str
    site: np.ndarray
    row: np.ndarray

    @cached_property
    def x(self) -> np.ndarray:
        """Left edges, um."""
        return self.site * self.floorplan.geometry.site_width

    @cached_property
    def y(self) -> np.ndarray:
        """Lower edges, um."""
        return self.row * self.floorplan.geometry.row_height

    def orientation(self, instance: int) -> str:
        """``N``, or ``FS`` in a flipped row."""
        return "FS" if self.row[instance] % 2 else "N"

    def check(self, netlist: Netlist) -> None:
        """Make sure that this is a legal placement of a netlist.

        Raises
        ------
        PlacementError
            If it is of another netlist, or a cell lies outside or on another one.
        """
        if self.netlist != netlist_digest(netlist):
            raise PlacementError(
                f"the placement is of another netlist than {netlist.name}: place this one again"
            )
        self._check_legal(netlist)

    def _check_legal(self, netlist: Netlist) -> None:
        """Make sure that every cell of the netlist lies in the rows, and on no other one."""
        plan = self.floorplan
        widths = np.array(plan.geometry.widths(i.cell for i in netlist.instances))
        if (
            (self.site < 0).any()
            or (self.site + widths > plan.sites).any()
            or (self.row < 0).any()
            or (self.row >= plan.rows).any()
        ):
            raise PlacementError(f"{netlist.name}: a cell is placed outside of the rows")
        order = np.lexsort((self.site, self.row))
        first, second = order[:-1], order[1:]
        touching = (self.row[first] == self.row[second]) & (
            self.site[first] + widths[first] > self.site[second]
        )
        if touching.any():
            one, other = (netlist.instances[int(n[touching][0])].name for n in (first, second))
            raise PlacementError(f"{netlist.name}: {one} and {other} are placed on each other")


def netlist_digest(netlist: Netlist) -> str:
    """Hash of a netlist: its ports, the names of its nets, and its instances with their blocks and
    the nets on their pins.
    """
    content: list[object] = [netlist.name, *netlist.ports.items(), *netlist.names.items()]
    content += [(i.name, i.cell, i.block, *i.pins.items()) for i in netlist.instances]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def place_cells(
    netlist: Netlist,
    floorplan: Floorplan,
    *,
    weights: Mapping[Net, float] | None = None,
    effort: int = 3,
    seed: int = 1,
    spread: bool = True,
) -> Placement:
    """Place all cells, as near to what they are connected to as can be.

    Parameters
    ----------
    weights
        How much a net's length counts; 1 for nets that are not in it.
    effort
        1 to 9.
    spread
        Whether cells fill the die; otherwise they stand side by side.

    Raises
    ------
    PlacementError
        If the placer is not installed, or cells do not fit into the rows.
    """
    for density in DENSITIES if spread else DENSITIES[-1:]:
        circuit, coloquinte = _circuit(netlist, floorplan, weights or {})
        parameters = coloquinte.ColoquinteParameters(effort, seed)
        try:
            with _quiet():
                widths = circuit.cell_width
                if density is not None:
                    circuit.expand_cells_to_density(density, 0.0)
                circuit.place_global(parameters)
                circuit.legalize(parameters)
                circuit.place_detailed(parameters)
                circuit.cell_width = widths
        except RuntimeError as error:
            failure = error
        else:
            return _placement(circuit, netlist, floorplan)
    raise _illegal(netlist, failure)


def legalize(
    netlist: Netlist, floorplan: Floorplan, x: np.ndarray, y: np.ndarray, *, seed: int = 1
) -> Placement:
    """Move cells from where they are wanted to the nearest legal positions.

    Parameters
    ----------
    x, y : um, of the left lower corner of each instance

    Raises
    ------
    PlacementError
        As :func:`place_cells`.
    """
    circuit, coloquinte = _circuit(netlist, floorplan, {})
    count, geometry = len(netlist.instances), floorplan.geometry
    ends = circuit.cell_x[count:], circuit.cell_y[count:]
    site = np.clip(np.rint(x / geometry.site_width), 0, floorplan.sites).astype(int)
    row = np.clip(np.rint(y / geometry.row_height), 0, floorplan.rows - 1).astype(int)
    circuit.cell_x = [*site.tolist(), *ends[0]]
    circuit.cell_y = [*(row * _row_units(floorplan)).tolist(), *ends[1]]
    parameters = coloquinte.ColoquinteParameters(3, seed)
    try:
        with _quiet():
            circuit.legalize(parameters)
    except RuntimeError as error:
        raise _illegal(netlist, error) from None
    return _placement(circuit, netlist, floorplan)


def _row_units(floorplan: Floorplan) -> int:
    """Height of a row in units of the placer, whose coordinates are integers: about a site."""
    geometry = floorplan.geometry
    return max(1, round(geometry.row_height / geometry.site_width))


def _circuit(netlist: Netlist, floorplan: Floorplan, weights: Mapping[Net, float]) -> Any:
    """The placer's own circuit: cells, then ports of no size and macros, which are fixed."""
    coloquinte = require_placer()
    geometry, unit = floorplan.geometry, _row_units(floorplan)
    across, up = 1 / geometry.site_width, unit / geometry.row_height
    widths = geometry.widths(instance.cell for instance in netlist.instances)
    ends: dict[Net, list[tuple[int, int, int]]] = {}
    offsets = {}
    for number, instance in enumerate(netlist.instances):
        for pin, net in instance.pins.items():
            if not isinstance(net, int):
                continue
            key = instance.cell, pin
            if key not in offsets:
                x, y = geometry.pin_offset(*key)
                offsets[key] = round(x * across), round(y * up)
            ends.setdefault(net, []).append((number, *offsets[key]))
    fixed: list[tuple[int, int, int, int]] = []  # x, y, width, height
    for name, (_, bits) in netlist.ports.items():
        for bit, net in enumerate(bits):
            if isinstance(net, int):
                ends.setdefault(net, []).append((len(widths) + len(fixed), 0, 0))
                x, y = floorplan.ports[name, bit]
                fixed.append((round(x * across), round(y * up), 0, 0))
    for macro in floorplan.macros:
        for end in macro.pins.values():
            place = len(widths) + len(fixed), round(end.x * across), round(end.y * up)
            ends.setdefault(end.net, []).append(place)
        left, low = int(macro.x * across), int(macro.y * up)
        right = int(np.ceil((macro.x + macro.width) * across))
        top = int(np.ceil((macro.y + macro.height) * up))
        fixed.append((left, low, right - left, top - low))

    circuit = coloquinte.Circuit(len(widths) + len(fixed))
    cells = len(widths)
    circuit.cell_width = [*widths, *(size for _, _, size, _ in fixed)]
    circuit.cell_height = [unit] * cells + [size for *_, size in fixed]
    circuit.cell_x = [0] * cells + [x for x, *_ in fixed]
    circuit.cell_y = [0] * cells + [y for _, y, *_ in fixed]
    circuit.cell_is_fixed = [False] * cells + [True] * len(fixed)
    circuit.cell_is_obstruction = [True] * cells + [bool(size) for *_, size in fixed]
    circuit.cell_row_polarity = [coloquinte.CellRowPolarity.SAME] * circuit.nb_cells
    area = coloquinte.Rectangle(0, floorplan.sites, 0, floorplan.rows * unit)
    circuit.setup_rows(area, unit, True, True)
    for net, pins in ends.items():
        if 1 < len(pins) <= MOST_PINS:
            cells_on, x_offsets, y_offsets = map(list, zip(*pins, strict=True))
            circuit.add_net(cells_on, x_offsets, y_offsets, weights.get(net, 1.0))
    circuit.check()
    return circuit, coloquinte


def require_placer() -> Any:
    """Return the placer's module.

    Raises
    ------
    PlacementError
        If it is missing and has no wheel for this Python.
    ModuleNotFoundError
        If it is missing and can be installed.
    """
    try:
        return importlib.import_module("coloquinte")
    except ModuleNotFoundError:
        if sys.version_info[:2] in WHEELS:
            raise
        has = " and ".join(f"{major}.{minor}" for major, minor in WHEELS)
        raise PlacementError(
            f"the placer, coloquinte, is not installed and has no wheel for this Python: use "
            f"Python {has}"
        ) from None


def _placement(circuit: Any, netlist: Netlist, floorplan: Floorplan) -> Placement:
    count = len(netlist.instances)
    found = Placement(
        floorplan,
        netlist_digest(netlist),
        np.array(circuit.cell_x[:count], int),
        np.array(circuit.cell_y[:count], int) // _row_units(floorplan),
    )
    found._check_legal(netlist)
    return found


def _illegal(netlist: Netlist, error: RuntimeError) -> PlacementError:
    return PlacementError(
        f"{netlist.name}: the placer finds no legal placement ({error}): lower the utilization"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the placer quiet, which writes to the standard output from C++."""
    sys.stdout.flush()
    kept = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)
