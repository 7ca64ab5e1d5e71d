"""A netlist placed: positions, wires, clock tree, and the timing that follows from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.placement.clock.clock_network import ClockTiming, clock_timing
from adq.verif.placement.clock.clock_tree import build_clock_tree
from adq.verif.placement.clock.hold import HoldSlack, hold_slacks, insert_delays
from adq.verif.placement.clock.useful_skew import clock_advance
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.floorplan import TILE_SIDES, Macro, plan_die
from adq.verif.placement.geometry import Geometry
from adq.verif.placement.netlists import copied, without_buffers
from adq.verif.placement.placer import Placement, legalize, netlist_digest, place_cells
from adq.verif.placement.wires import CLOCK_TREE, extract_wires
from adq.verif.synthesis.netlist import Net, Netlist
from adq.verif.synthesis.sizing import size_cells
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["DEFAULT_OPTIONS", "PlaceOptions", "PlacedDesign", "place", "restored"]

LONGEST = 1e6
"""ns of a period."""

SKEWS = 3
"""Times that the clock is moved towards longer paths, at most."""

SIZINGS = 2
"""Times that drive strengths are chosen and cells moved to legal places again, at most."""

HOLDS = 8
"""Times that delay buffers are inserted, at most: cells that make room change hold slack elsewhere.
"""

SLIP = 1e-3
"""ns by which a path that misses the period may get longer while hold slack is mended."""


@dataclass(frozen=True)
class PlaceOptions:
    """How a netlist is placed.

    Attributes
    ----------
    utilization : area of cells over area of rows
    aspect : height of the die over its width
    effort : of the placer, 1 to 9
    period : ns
    spread : whether cells fill the die, or stand side by side
    resized : whether drive strengths are chosen again with the wires
    useful_skew : whether flip-flops that start long paths get their clock sooner
    holds : whether delay buffers mend negative hold slack
    """

    utilization: float = 0.7
    aspect: float = 1.0
    effort: int = 3
    seed: int = 1
    period: float = 2.0
    spread: bool = True
    resized: bool = True
    useful_skew: bool = True
    holds: bool = True


DEFAULT_OPTIONS = PlaceOptions()


@dataclass(frozen=True)
class PlacedDesign:
    """A placed netlist.

    Attributes
    ----------
    netlist : without the clock tree, with wires and clock arrival times: what is timed and
        simulated
    full : with the clock tree, whose buffers are its last instances: what is on the die
    placement : of ``full``; its first instances are those of ``netlist``
    """

    netlist: Netlist
    full: Netlist
    placement: Placement
    library: Library
    clock: ClockTiming
    options: PlaceOptions

    @property
    def own(self) -> Placement:
        """The placement of ``netlist``."""
        return _first(self.placement, self.netlist)

    @cached_property
    def timing(self) -> Timing:
        """Static timing with wires and with the clock as the tree brings it."""
        return TimingGraph(self.netlist, self.library).analyse()

    @cached_property
    def holds(self) -> list[HoldSlack]:
        """Hold slack of data pins, the least first."""
        return hold_slacks(self.timing)

    @property
    def area(self) -> dict[str, float]:
        """Cell area in um2 by block, the clock tree among them."""
        found: dict[str, float] = {}
        for instance in self.full.instances:
            area = self.library.cells[instance.cell].area
            found[instance.block] = found.get(instance.block, 0.0) + area
        return found

    @property
    def mean_wire(self) -> float:
        """FF of wire a net, in the mean."""
        wires = self.netlist.parasitics
        return float(np.mean(list(wires.capacitance.values()))) if wires else 0.0


def place(
    netlist: Netlist,
    library: Library,
    geometry: Geometry,
    *,
    clock: str,
    options: PlaceOptions = DEFAULT_OPTIONS,
    weights: Mapping[Net, float] | None = None,
    sides: Mapping[str, str] = TILE_SIDES,
    macros: tuple[Macro, ...] = (),
    progress: Callable[[str], None] = lambda stage: None,
) -> PlacedDesign:
    """Place a netlist, choose its drive strengths again with the wires, and build its clock tree.

    The netlist that is given is not changed.

    Parameters
    ----------
    clock
        Port of the clock.
    weights
        How much the length of each net counts; 1 where it is left out.

    Raises
    ------
    PlacementError
        If an option is out of range, the library lacks something, or cells do not fit.
    """
    if not 0 < options.period < LONGEST:
        raise PlacementError(f"period {options.period:g} ns: must be above 0 and below {LONGEST:g}")
    root = frozenset(netlist.ports[clock][1])
    plan = plan_die(
        netlist,
        geometry,
        utilization=options.utilization,
        aspect=options.aspect,
        sides=sides,
        macros=macros,
    )
    logic = copied(netlist)
    logic.parasitics = None
    progress("placing cells")
    placement = place_cells(
        logic,
        plan,
        weights=weights,
        effort=options.effort,
        seed=options.seed,
        spread=options.spread,
    )
    for _ in range(SIZINGS if options.resized else 0):
        progress("choosing drive strengths")
        before = [instance.cell for instance in logic.instances]
        logic.parasitics = extract_wires(logic, library, placement, ideal=root)
        size_cells(logic, library, period=options.period)
        if before == [instance.cell for instance in logic.instances]:
            break
        placement = _again(logic, placement)
    progress("building the clock tree")

    def with_tree(
        logic: Netlist, placement: Placement, advance: Mapping[str, float]
    ) -> PlacedDesign:
        tree = build_clock_tree(logic, library, placement, clock=clock, advance=advance)
        full = _again(tree.netlist, placement, (tree.x, tree.y))
        return restored(tree.netlist, full, library, clock, options)

    design = with_tree(logic, placement, {})
    advance: dict[str, float] = {}
    for _ in range(SKEWS if options.useful_skew else 0):
        if design.timing.delay <= options.period:
            break
        advance = clock_advance(design.timing, options.period, advance)
        progress("choosing drive strengths for the clock as it comes")
        logic.parasitics = with_tree(logic, placement, advance).netlist.parasitics
        size_cells(logic, library, period=options.period)
        placement = _again(logic, placement)
        found = with_tree(logic, placement, advance)
        if found.timing.delay < design.timing.delay:
            design = found
    for _ in range(HOLDS if options.holds else 0):
        progress("mending hold slack")
        mended = _with_delays(design, clock)
        if mended is None or not _better_holds(mended, design):
            break
        design = mended
    return design


def _with_delays(design: PlacedDesign, clock: str) -> PlacedDesign | None:
    """Return a design with delay buffers where hold slack is negative, and with the clock tree that
    it had; None where no buffer helps.
    """
    full, library, placement = copied(design.full), design.library, design.placement
    logic, before = len(design.netlist.instances), len(full.instances)
    # Where the period is not met, slack is what is left of the period that was reached.
    reached = max(design.options.period, design.timing.delay)
    x, y = insert_delays(full, library, placement, design.timing, reached)
    if not x.size:
        return None
    # The buffers of the clock tree stay the last instances.
    tree, delays = full.instances[logic:before], full.instances[before:]
    full.instances[logic:] = [*delays, *tree]
    places = legalize(
        full,
        placement.floorplan,
        np.concatenate([placement.x[:logic], x, placement.x[logic:]]),
        np.concatenate([placement.y[:logic], y, placement.y[logic:]]),
    )
    return restored(full, places, library, clock, design.options)


def _better_holds(one: PlacedDesign, other: PlacedDesign) -> bool:
    """Return whether a design has less negative hold slack than another, and meets the period if
    that does.
    """

    def missing(design: PlacedDesign) -> float:
        return sum(min(0.0, hold.slack) for hold in design.holds)

    period = other.options.period
    limit = period if other.timing.delay <= period else other.timing.delay + SLIP
    return missing(one) > missing(other) and one.timing.delay <= limit


def _again(
    netlist: Netlist,
    placement: Placement,
    added: tuple[np.ndarray, np.ndarray] | None = None,
) -> Placement:
    """Legal places again, after cells have changed, or some were added at the end."""
    x, y = placement.x, placement.y
    if added is not None:
        x, y = np.concatenate([x, added[0]]), np.concatenate([y, added[1]])
    return legalize(netlist, placement.floorplan, x, y)


def _first(placement: Placement, netlist: Netlist) -> Placement:
    """The placement of a netlist whose instances are the first of those that were placed."""
    count = len(netlist.instances)
    return Placement(
        placement.floorplan, netlist_digest(netlist), placement.site[:count], placement.row[:count]
    )


def restored(
    full: Netlist,
    placement: Placement,
    library: Library,
    clock: str,
    options: PlaceOptions,
) -> PlacedDesign:
    """Return the design of a placed netlist with its clock tree: its wires and its timing."""
    logic = without_buffers(full, library, CLOCK_TREE)
    own = _first(placement, logic)
    slew = min(library.max_transition, 1.0) / 8
    found = clock_timing(full, library, placement, clock=clock, slew=slew)
    first = min(found.arrival.values(), default=0.0)
    logic.parasitics = replace(
        extract_wires(logic, library, own, ideal=frozenset(found.energies)),
        clock_arrival={name: time - first for name, time in found.arrival.items()},
        clock_slew=float(np.mean(list(found.slew.values()))) if found.slew else None,
        port_arrival=max(0.0, found.insertion_delay - first),
    )
    return PlacedDesign(logic, full, placement, library, found, options)
