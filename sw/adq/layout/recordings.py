"""Recordings of a mapped tile as those of its placed netlist, which has more buffers."""

from collections.abc import Sequence

import numpy as np

from adq.verif.gate_level.switching import Switching
from adq.verif.placement.netlists import without_buffers
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.netlist import Net, Netlist
from adq.verif.synthesis.sizing import drive_strengths

__all__ = ["carried_over", "columns_of"]


def carried_over(recording: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return a recording of a mapped netlist as one of its placed netlist.

    Parameters
    ----------
    recording : uint8 of shape (cycles, bytes)
        Value of each net in each cycle, as :meth:`GateLevelTile.record` gives it.
    columns
        See :func:`columns_of`.
    """
    bits = np.unpackbits(recording, axis=1, bitorder="little")
    return np.packbits(bits[:, columns], axis=1, bitorder="little")


def columns_of(mapped: Netlist, nets: Sequence[Net], placed: Switching) -> np.ndarray:
    """Return where the value of each net of a placed netlist stands in a recording of the mapped
    one: a net behind a buffer has the value in front of it.

    Parameters
    ----------
    nets
        Nets of the recording, in its order.
    placed
        Of the placed netlist: the same logic with other buffers and drive strengths.

    Raises
    ------
    SimulationError
        If the two netlists differ in more than buffers and drive strengths.
    """
    library = placed.library
    strengths = drive_strengths(library)

    def logic(netlist: Netlist) -> list[tuple[str, str, list[tuple[str, Net]]]]:
        return [
            (i.name, strengths.get(i.cell, [i.cell])[0], sorted(i.pins.items()))
            for i in without_buffers(netlist, library).instances
        ]

    if logic(mapped) != logic(placed.netlist):
        raise SimulationError(
            f"{mapped.name}: the placed netlist is not the mapped one with other buffers and drive "
            "strengths: record it"
        )
    column = {net: number for number, net in enumerate(nets)}
    roots = _roots(placed)
    return np.array([column[net if net in column else roots[net]] for net in placed.nets])


def _roots(placed: Switching) -> dict[Net, Net]:
    """The net in front of the buffers before each net that is behind some."""
    kept = without_buffers(placed.netlist, placed.library)
    names = {instance.name for instance in kept.instances}
    before: dict[Net, Net] = {}
    for instance in placed.netlist.instances:
        if instance.name not in names:
            cell = placed.library.cells[instance.cell]
            before[instance.pins[cell.outputs[0].name]] = instance.pins[cell.inputs[0].name]
    found: dict[Net, Net] = {}
    for net in before:
        root = net
        while root in before:
            root = before[root]
        found[net] = root
    return found
