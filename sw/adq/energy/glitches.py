"""Glitch factors: energy of a tile's netlist with delays over its energy without."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from adq.energy.coefficients import reading
from adq.energy.gate_level.kept_sizes import nearest_tile
from adq.energy.terms import CLOCK
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.switching.activity import BLOCKS

if TYPE_CHECKING:
    from adq.verif.gate_level.delays.event_simulation import EventSimulation
    from adq.verif.gate_level.tile import GateLevelTile

__all__ = [
    "GlitchFactors",
    "GlitchFigure",
    "glitch_factors",
    "glitch_notes",
    "glitch_table",
    "kept_factors",
    "measure_glitches",
]

FORMAT = 1

FOLDER = Path(__file__).parent / "glitches"
"""Factors that are kept, a file a library and tile."""

DENSITY = 0.5
"""Share of activation words that are not zero."""

FIRST = 4
"""Cycle from which two simulators are compared: registers start at unknown values before it."""


@dataclass(frozen=True)
class GlitchFigure:
    """Energy of computing a MAC at one precision.

    Attributes
    ----------
    zero_delay, delayed : fJ a MAC by block, without leakage
    toggles_zero_delay, toggles_delayed : of all nets but clocks', in the compute window
    cycles : of the compute window
    settled_ns : when the last net came to rest in any of them
    confirmed_nets, differing_nets : nets whose toggles Icarus Verilog counted, too, and those of
        them that it counted otherwise; None where it was not asked
    """

    weight_bits: int
    activation_bits: int
    zero_delay: Mapping[str, float]
    delayed: Mapping[str, float]
    toggles_zero_delay: int
    toggles_delayed: int
    cycles: int
    settled_ns: float
    confirmed_nets: int | None = None
    differing_nets: int | None = None

    @property
    def bit_products(self) -> int:
        """Bit products of a MAC."""
        return self.weight_bits * self.activation_bits

    @property
    def factor(self) -> float:
        """Energy with glitches over the energy without."""
        return sum(self.delayed.values()) / sum(self.zero_delay.values())

    def block_factor(self, block: str) -> float:
        """Return the factor of one block."""
        return self.delayed[block] / self.zero_delay[block]


@dataclass(frozen=True)
class GlitchFactors:
    """Figures of a tile in a library's cells, random operands, half of the words zero."""

    library: str
    library_sha256: str
    netlist_sha256: str
    voltage: float
    temperature: float
    period_ns: float
    rows: int
    columns: int
    arithmetic: str
    figures: tuple[GlitchFigure, ...]
    area_um2: float | None = None
    """Area of the mapped netlist's cells."""
    longest_path_ns: float | None = None
    """By static timing; ``period_ns`` is what cells were sized for."""
    ordered_pins: bool = False
    """True if late nets were put on fast pins where larger cells alone missed the period."""
    icarus: str | None = None
    """Version of the Icarus Verilog that confirmed them."""
    clock_tree: Mapping[str, Any] | None = None
    """An estimate that no figure has in it; see :mod:`adq.verif.gate_level.clock_tree`."""

    @property
    def tile(self) -> TileParameters:
        """The tile that was measured."""
        return TileParameters(rows=self.rows, columns=self.columns, arithmetic=self.arithmetic)

    def at(self, weight_bits: int, activation_bits: int) -> GlitchFigure | None:
        """Return the figure of a precision; None where it was not measured."""
        for figure in self.figures:
            if (figure.weight_bits, figure.activation_bits) == (weight_bits, activation_bits):
                return figure
        return None

    def nearest(self, weight_bits: int, activation_bits: int) -> GlitchFigure:
        """Return the figure of the measured precision whose number of bit products is nearest."""
        wanted = weight_bits * activation_bits
        return min(
            self.figures,
            key=lambda each: max(each.bit_products / wanted, wanted / each.bit_products),
        )

    def ratio(self, *, delayed: bool) -> float:
        """Return the energy of a MAC at the most bits over that at the fewest."""
        energies = [
            sum((figure.delayed if delayed else figure.zero_delay).values())
            for figure in sorted(self.figures, key=lambda each: each.bit_products)
        ]
        return energies[-1] / energies[0]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> "GlitchFactors":
        """Read what :meth:`to_json` gave.

        Raises
        ------
        EnergyError
            If the file is damaged, or of another format.
        """
        with reading(
            path, "glitch factors", form=FORMAT, remedy="write it with `adq dev glitches`"
        ) as content:
            figures = tuple(GlitchFigure(**figure) for figure in content.pop("figures"))
            return cls(figures=figures, **content)


def glitch_factors(library: str, tile: TileParameters) -> GlitchFactors | None:
    """Return the kept factors of a library's cells: of the tile's arithmetic, and of its size or
    the nearest one; None where the library has none.
    """
    return nearest_tile(kept_factors(library), tile)


def kept_factors(library: str = "*") -> list[GlitchFactors]:
    """All kept factors of a library's cells, or of all libraries."""
    return [GlitchFactors.read(path) for path in sorted(FOLDER.glob(f"{library}-*.json"))]


def glitch_notes(library: str, tile: TileParameters) -> list[str]:
    """Say what glitches add to energies of a library's cells, in a line; nothing where none is
    kept.
    """
    factors = glitch_factors(library, tile)
    if factors is None:
        return []
    each = ", ".join(
        f"x{figure.factor:.2f} at {figure.weight_bits}x{figure.activation_bits} bits"
        for figure in factors.figures
    )
    return [
        f"With glitches, measured on {factors.rows}x{factors.columns}, half of the words zero: "
        f"{each}; 16x16 / 2x2 {factors.ratio(delayed=True):.1f}x for "
        f"{factors.ratio(delayed=False):.1f}x."
    ]


def measure_glitches(
    parameters: TileParameters,
    liberty: Path,
    *,
    name: str | None,
    bits: Sequence[int],
    period: float,
    order_pins: bool = False,
    directory: Path,
    cache: Path,
    confirm: bool,
    progress: Callable[[str], None] = lambda stage: None,
) -> GlitchFactors:
    """Simulate random jobs on a tile's netlist without delays, and again with them.

    Parameters
    ----------
    name
        Of the library; its own where it is None.
    bits
        Precisions, of weights and activations alike.
    period
        Clock period in ns that cells are sized for.
    order_pins
        See :func:`adq.verif.synthesis.synthesis.synthesize`.
    directory
        Folder for what simulators write; some 100 MB a precision with ``confirm``.
    confirm
        Whether Icarus Verilog counts toggles, too.

    Raises
    ------
    LibertyError, SynthesisError, TimingError, CellModelError, SwitchingError
        If the library cannot be read, or the tile not be mapped to it.
    SimulationError
        If a simulator fails, or a cycle ends otherwise with delays than without.
    """
    from adq.rtl.tile import Tile
    from adq.verif.gate_level.clock_tree import estimate_clock_tree
    from adq.verif.gate_level.delays.event_simulation import EventSimulation
    from adq.verif.gate_level.delays.icarus import icarus_version
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.synthesis import synthesize

    progress("mapping the tile and building its model")
    mapped = synthesize(
        Tile(parameters),
        Library.read(liberty),
        name="tile",
        order_pins=order_pins,
        period=period,
        cache=cache / "synthesis",
    )
    tile = GateLevelTile(parameters, mapped.library, cache=cache, period=period, synthesis=mapped)
    simulation = EventSimulation(tile.power, period=tile.period, cache=cache / "models")
    figures = []
    for width in bits:
        progress(f"{width}x{width} bits")
        figures.append(_figure(tile, simulation, width, directory / f"{width}x{width}", confirm))
    return GlitchFactors(
        library=name or tile.library.name,
        library_sha256=tile.library.digest,
        netlist_sha256=hashlib.sha256(tile.netlist.to_verilog().encode()).hexdigest(),
        voltage=tile.library.voltage,
        temperature=tile.library.temperature,
        period_ns=tile.period,
        rows=parameters.rows,
        columns=parameters.columns,
        arithmetic=parameters.arithmetic,
        area_um2=sum(tile.synthesis.area.values()),
        longest_path_ns=tile.synthesis.timing.delay,
        ordered_pins=order_pins,
        figures=tuple(figures),
        icarus=icarus_version() if confirm else None,
        clock_tree=asdict(estimate_clock_tree(tile.netlist, tile.library, clock=tile.CLOCK)),
    )


def _figure(
    tile: "GateLevelTile",
    simulation: "EventSimulation",
    width: int,
    directory: Path,
    confirm: bool,
) -> GlitchFigure:
    from adq.energy.gate_level.random_cases import RandomCase
    from adq.verif.gate_level.delays.glitches import glitch_energy
    from adq.verif.gate_level.delays.icarus import icarus_toggles

    jobs = RandomCase("uniform", width, width, DENSITY).jobs(tile.parameters)
    recording = tile.record(jobs, directory=directory)
    energy = glitch_energy(simulation, recording, tile.windows(recording)["compute"])
    macs = sum(job.activations.shape[1] * job.weights[0].size for job in jobs)
    confirmed = differing = None
    if confirm:
        toggles = simulation.count(recording, [(FIRST, len(recording) - 1)]).toggles
        others = icarus_toggles(
            tile.switching, recording, first=FIRST, period=tile.period, directory=directory
        )
        confirmed, differing = len(toggles), int((toggles != others).sum())
    return GlitchFigure(
        weight_bits=width,
        activation_bits=width,
        zero_delay={block: each / macs for block, each in energy.zero_delay.items()},
        delayed={block: each / macs for block, each in energy.delayed.items()},
        toggles_zero_delay=energy.toggles_zero_delay,
        toggles_delayed=energy.toggles_delayed,
        cycles=energy.cycles,
        settled_ns=energy.settled_ns,
        confirmed_nets=confirmed,
        differing_nets=differing,
    )


def glitch_table(factors: GlitchFactors) -> Table:
    """Return energy a bit product without and with glitches, by block."""
    confirmed = [figure for figure in factors.figures if figure.confirmed_nets]
    icarus = "Not confirmed by a second simulator."
    if confirmed:
        nets = sum(figure.confirmed_nets or 0 for figure in confirmed)
        differing = sum(figure.differing_nets or 0 for figure in confirmed)
        icarus = (
            f"Icarus Verilog {factors.icarus}: toggles of {nets - differing:,} of {nets:,} nets "
            f"in {len(confirmed)} runs are the same."
        )
    table = Table(
        title=f"{factors.rows}x{factors.columns} in {factors.library}: fJ a bit product, "
        "without delays -> with glitches",
        caption=(
            f"Gate level, {factors.voltage} V, {factors.temperature:g} C, half of the words zero, "
            "random weights, computing.\nDelays of static timing, inertial; every cycle ends with "
            f"the values of the zero-delay simulation.\n{icarus}\n"
            f"A MAC of the most bits takes {factors.ratio(delayed=False):.1f}x one of the fewest "
            f"without glitches, {factors.ratio(delayed=True):.1f}x with them."
        ),
        caption_justify="left",
    )
    table.add_column("")
    for figure in factors.figures:
        table.add_column(f"{figure.weight_bits}x{figure.activation_bits}", justify="right")

    def row(
        name: str,
        energies: Callable[[GlitchFigure], tuple[float, float]],
        style: str | None = None,
    ) -> None:
        cells = []
        for figure in factors.figures:
            zero, delayed = (energy / figure.bit_products for energy in energies(figure))
            factor = f" x{delayed / zero:.2f}" if zero else ""
            cells.append(f"{zero:.2f} -> {delayed:.2f}{factor}")
        table.add_row(name, *cells, style=style)

    row("all", lambda each: (sum(each.zero_delay.values()), sum(each.delayed.values())), "bold")
    order = [*BLOCKS, CLOCK]

    def of_block(block: str, each: GlitchFigure) -> tuple[float, float]:
        return each.zero_delay[block], each.delayed[block]

    for block in sorted(factors.figures[0].zero_delay, key=order.index):
        row(f"  {block}", functools.partial(of_block, block))
    toggles = (f"x{each.toggles_delayed / each.toggles_zero_delay:.2f}" for each in factors.figures)
    table.add_row("toggles", *toggles)
    table.add_row("at rest after, ns", *(f"{each.settled_ns:.2f}" for each in factors.figures))
    return table
