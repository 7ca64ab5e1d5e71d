"""Figures of placed tiles, as they are kept with the package."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adq.energy.coefficients import libraries, reading
from adq.energy.gate_level.kept_sizes import nearest_tile
from adq.rtl.parameters import TileParameters

__all__ = ["Layout", "PlacedFigures", "PlacedStep", "kept_placed", "placed_at", "placed_notes"]

FORMAT = 1

FOLDER = Path(__file__).parents[1] / "placed"


@dataclass(frozen=True)
class Layout:
    """A netlist with the wires of one step.

    Attributes
    ----------
    area_um2 : of cells, by block
    longest_path_ns : with the clock tree's arrival times, where there is one
    mean_wire_ff : wire of a net
    die_um2 : None before placement
    """

    area_um2: Mapping[str, float]
    longest_path_ns: float
    mean_wire_ff: float
    die_um2: float | None = None
    worst_hold_slack_ns: float | None = None
    hold_violations: int | None = None
    clock_buffers: int | None = None
    insertion_delay_ns: float | None = None
    skew_ns: float | None = None


@dataclass(frozen=True)
class PlacedStep:
    """Energy of one precision, in fJ a MAC by block, without leakage.

    Attributes
    ----------
    wire_load : wires of the library's wire load model
    plain : cells spread over the die, buffers and drive strengths as mapped
    placed : nets weighted, drive strengths and clock chosen by place, hold slack mended
    clock_tree : what the clock tree adds
    delayed : ``placed`` with glitches, at delays of the placed wires; None where not measured
    partial_sums : reading and writing an entry of the partial sum buffer for each vector
    """

    weight_bits: int
    activation_bits: int
    wire_load: Mapping[str, float]
    plain: Mapping[str, float]
    placed: Mapping[str, float]
    clock_tree: float
    delayed: Mapping[str, float] | None
    partial_sums: float

    @property
    def steps(self) -> dict[str, float | None]:
        """FJ a bit product after each step."""
        products = self.weight_bits * self.activation_bits
        wire_load, plain, placed = (
            sum(each.values()) / products for each in (self.wire_load, self.plain, self.placed)
        )
        tree = self.clock_tree / products
        found: dict[str, float | None] = {
            "wire load model": wire_load,
            "placed, as mapped": plain,
            "placed, resized": placed,
            "+ clock tree": placed + tree,
            "+ glitches": None,
            "+ partial sums": None,
        }
        if self.delayed is not None:
            delayed = sum(self.delayed.values()) / products + tree
            found["+ glitches"] = delayed
            found["+ partial sums"] = delayed + self.partial_sums / products
        return found


@dataclass(frozen=True)
class PlacedFigures:
    """Figures of a tile in a library's cells, random operands, half of the words zero."""

    library: str
    library_sha256: str
    netlist_sha256: str
    voltage: float
    temperature: float
    period_ns: float
    seed: int
    activity: bool
    """True if nets were weighted by their activity in ``placed``."""
    utilization: float
    tile: TileParameters
    layouts: Mapping[str, Layout]
    """``wire load``, ``plain`` and ``placed``."""
    figures: tuple[PlacedStep, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> "PlacedFigures":
        """Read what :meth:`to_json` gave.

        Raises
        ------
        EnergyError
            If the file is damaged, or of another format.
        """
        with reading(
            path, "a placed tile", form=FORMAT, remedy="write it with `adq dev placed-energy`"
        ) as content:
            figures = tuple(PlacedStep(**figure) for figure in content.pop("figures"))
            layouts = {name: Layout(**each) for name, each in content.pop("layouts").items()}
            tile = TileParameters(**content.pop("tile"))
            return cls(tile=tile, figures=figures, layouts=layouts, **content)


def kept_placed(library: str = "*") -> list[PlacedFigures]:
    """Return all kept figures of a library's cells, or of all libraries."""
    return [PlacedFigures.read(path) for path in sorted(FOLDER.glob(f"{library}-*.json"))]


def placed_at(library: str, tile: TileParameters) -> PlacedFigures | None:
    """Return the kept figures of a library's cells: of the tile's arithmetic, and of its size or
    the nearest one; None where the library has none.
    """
    return nearest_tile(kept_placed(library), tile)


def placed_notes(library: str, tile: TileParameters) -> list[str]:
    """Say in a line what wires, clock tree and glitches of a placed tile add to the energy of the
    wire load model; nothing where no figures are kept.
    """
    nearest = placed_at(library, tile)
    if nearest is None:
        return []
    factors = [
        f"x{delayed / wire_load:.2f} at {each.weight_bits}x{each.activation_bits} bits"
        for each in nearest.figures
        if (delayed := each.steps["+ glitches"]) and (wire_load := each.steps["wire load model"])
    ]
    placed = f"{library}-placed"
    of_networks = ""
    if placed in libraries():
        of_networks = f" Of a network: `adq energy --library {placed}`."
    return [
        f"As placed, with wires, clock tree and glitches, measured on {nearest.tile.name}, half of "
        f"the words zero: {', '.join(factors)}.{of_networks}"
    ]
