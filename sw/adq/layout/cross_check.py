"""A placed design in OpenSTA, by the files that are written for other tools."""

import re
from pathlib import Path

from adq.energy.cross_check import STA, CrossCheckError
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.liberty.library import Library
from adq.verif.placement.cache import place_cached
from adq.verif.placement.exchange.constraints import to_sdc
from adq.verif.placement.exchange.spef import to_spef
from adq.verif.placement.geometry import Geometry
from adq.verif.placement.netlists import copied
from adq.verif.placement.placed import PlacedDesign
from adq.verif.placement.placer import Placement, netlist_digest
from adq.verif.processes import run_to_end
from adq.verif.synthesis.netlist import Netlist
from adq.verif.synthesis.parasitics import Parasitics
from adq.verif.synthesis.synthesis import PERIOD, synthesize

__all__ = ["ideal_clock", "opensta_longest_path", "place_tile"]


def place_tile(parameters: TileParameters, library: Library, *, cache: Path) -> PlacedDesign:
    """Map and place a tile with the options of `adq place`."""
    mapped = synthesize(
        Tile(parameters), library, name="tile", period=PERIOD, cache=cache / "synthesis"
    )
    return place_cached(
        mapped.netlist,
        library,
        Geometry.read(library),
        clock=GateLevelTile.CLOCK,
        cache=cache / "placement",
    )


def ideal_clock(design: PlacedDesign) -> tuple[Netlist, str]:
    """Return the placed netlist without its clock tree, all registers clocked at once, and its
    SPEF.
    """
    netlist = copied(design.netlist)
    wires = design.netlist.parasitics
    assert wires is not None
    netlist.parasitics = Parasitics(wires.capacitance, wires.resistance)
    count = len(netlist.instances)
    own = Placement(
        design.placement.floorplan,
        netlist_digest(netlist),
        design.placement.site[:count],
        design.placement.row[:count],
    )
    unwired = frozenset(design.clock.energies)
    return netlist, to_spef(netlist, design.library, own, without=unwired)


def opensta_longest_path(design: PlacedDesign, *, clock: str, directory: Path) -> float:
    """Return the longest path in ns: netlist with its clock tree, wires from SPEF, clock
    propagated.

    Parameters
    ----------
    directory
        Folder for the files and the script.

    Raises
    ------
    CrossCheckError
        If there is no OpenSTA, or it does not answer.
    """
    directory.mkdir(parents=True, exist_ok=True)
    netlist, library, period = design.full, design.library, design.options.period
    files = {
        "design.v": netlist.to_verilog(),
        "design.spef": to_spef(netlist, library, design.placement),
        "design.sdc": to_sdc(
            netlist,
            library,
            clock=clock,
            period=period,
            port_delay=design.clock.insertion_delay,
        ),
        "script.tcl": "read_liberty library.lib\nread_verilog design.v\n"
        f"link_design {netlist.name}\nsource design.sdc\nread_spef design.spef\n"
        "report_worst_slack -digits 6\n",
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "library.lib").write_bytes(library.text)
    try:
        ran = run_to_end([STA, "-no_splash", "-exit", "script.tcl"], directory=directory)
    except OSError:
        raise CrossCheckError(f"{STA} is not on this machine") from None
    found = re.search(r"worst slack\s*(?:max)?\s*(-?[\d.]+)", ran.stdout)
    if found is None:
        last = ((ran.stdout + ran.stderr).strip().splitlines() or ["nothing"])[-1]
        raise CrossCheckError(f"{STA} gave no slack; its last words: {last}")
    return period - float(found[1])
