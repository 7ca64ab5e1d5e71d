"""Geometry of a cell library: rows, sites and wires, which a liberty file does not have."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adq.golden.files.reading import FileError
from adq.golden.files.toml_reader import read_toml
from adq.verif.liberty.library import Library
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.lef import LefMacro, read_lef

__all__ = ["Geometry", "Tracks", "WireLayer"]

FOLDER = Path(__file__).parent / "libraries"

TOLERANCE = 0.02
"""Share of a site by which a cell's area may differ from whole sites: liberty files round it."""


@dataclass(frozen=True)
class WireLayer:
    """The layer that wires are assumed on. Units: fF/um and ohm/um."""

    layer: str
    capacitance: float
    resistance: float


@dataclass(frozen=True)
class Tracks:
    """Routing tracks of a layer."""

    layer: str
    direction: str
    """``horizontal`` or ``vertical``."""
    pitch: float
    """um"""


@dataclass(frozen=True)
class Geometry:
    """Rows, sites, wires and cell widths of a library.

    Attributes
    ----------
    site : name of the site in LEF
    row_height, site_width : um
    signal, clock : layers of signal wires and of the clock tree
    sites : width of each cell of the library, in sites
    macros : pin positions of cells, where a LEF file was given
    digest : hash of everything above
    """

    library: str
    site: str
    row_height: float
    site_width: float
    signal: WireLayer
    clock: WireLayer
    tracks: tuple[Tracks, ...]
    sites: Mapping[str, int] = field(repr=False)
    macros: Mapping[str, LefMacro] = field(repr=False)
    digest: str

    @classmethod
    def read(
        cls, library: Library, *, path: Path | None = None, lef: Path | None = None
    ) -> "Geometry":
        """Read the geometry of a library.

        Parameters
        ----------
        path
            TOML file; where it is None, one that comes with the package and names the library.
        lef
            LEF file with the cells' sizes and pins; without it, widths follow from areas, and
            pins are in the middle of cells.

        Raises
        ------
        PlacementError
            If no file is known, a value is missing, or a cell does not fit rows and sites.
        """
        path = _shipped(library) if path is None else path
        content = _toml(path)
        height, site = (_positive(path, content, key) for key in ("row_height", "site_width"))
        macros = {} if lef is None else read_lef(lef)
        cells = library.cells.values()
        if lef is None:
            sites = {
                cell.name: _whole_sites(cell.name, cell.area / height, site, library.path)
                for cell in cells
                if cell.area
            }
        else:
            sites = {}
            for name, macro in macros.items():
                if name in library.cells:
                    if abs(macro.height - height) > 1e-6:
                        raise PlacementError(
                            f"{lef}: cell {name} is {macro.height:g} um high and rows of {path} "
                            f"are {height:g} um: cells of several heights cannot be placed"
                        )
                    sites[name] = _whole_sites(name, macro.width, site, lef)
        told = repr((sorted(content.items()), sorted(sites.items()), sorted(macros.items())))
        return cls(
            library=library.name,
            site=str(content.get("site", "core")),
            row_height=height,
            site_width=site,
            signal=_layer(path, content, "signal"),
            clock=_layer(path, content, "clock"),
            tracks=_tracks(path, content),
            sites=sites,
            macros=macros,
            digest=hashlib.sha256(told.encode()).hexdigest(),
        )

    def widths(self, cells: Iterable[str]) -> list[int]:
        """Width of each of some cells, in sites.

        Raises
        ------
        PlacementError
            If the library, or the LEF file, has no size of a cell.
        """
        cells = list(cells)
        unknown = sorted({cell for cell in cells if cell not in self.sites})
        if unknown:
            source = "the LEF file" if self.macros else f"the library {self.library}"
            more = f" and {len(unknown) - 3} more cells" if len(unknown) > 3 else ""
            raise PlacementError(
                f"{source} has no size of {', '.join(unknown[:3])}{more}, which the netlist uses: "
                "give a file of the library that the netlist was mapped to"
            )
        return [self.sites[cell] for cell in cells]

    def pin_offset(self, cell: str, pin: str, *, flipped: bool = False) -> tuple[float, float]:
        """Position of a pin in a cell, in um from its left lower corner; the cell's middle where it
        is not known.

        ``flipped`` is of a cell that is mirrored top to bottom, as in every second row.
        """
        macro = self.macros.get(cell)
        if macro is not None and pin in macro.pins:
            x, y = macro.pins[pin]
            return x, self.row_height - y if flipped else y
        return self.sites[cell] * self.site_width / 2, self.row_height / 2


def _shipped(library: Library) -> Path:
    """The file of the package that names a library; its name may go on, with a corner."""
    names = []
    for path in sorted(FOLDER.glob("*.toml")):
        name = str(_toml(path).get("library", ""))
        names.append(name)
        if name and library.name.startswith(name):
            return path
    raise PlacementError(
        f"{library.path}: no row height, site and wires are known of the library {library.name} "
        f"(known: {', '.join(names)}): give them by --geometry FILE"
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except (OSError, FileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PlacementError(f"{path}: no geometry of a library: {reason}") from None


def _positive(path: Path, table: Mapping[str, Any], key: str) -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise PlacementError(f"{path}: {key} must be a number above 0: {value!r:.40}")
    return float(value)


def _layer(path: Path, content: Mapping[str, Any], key: str) -> WireLayer:
    table = content.get(key)
    if not isinstance(table, dict):
        raise PlacementError(f"{path}: [{key}] is missing: layer, capacitance and resistance")
    numbers = (_positive(path, table, name) for name in ("capacitance", "resistance"))
    return WireLayer(str(table.get("layer", key)), *numbers)


def _tracks(path: Path, content: Mapping[str, Any]) -> tuple[Tracks, ...]:
    found = []
    tables = content.get("tracks", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PlacementError(f"{path}: tracks must be tables [[tracks]]")
    for table in tables:
        if table.get("direction") not in ("horizontal", "vertical"):
            raise PlacementError(f"{path}: direction of tracks must be horizontal or vertical")
        pitch = _positive(path, table, "pitch")
        found.append(Tracks(str(table.get("layer", "")), table["direction"], pitch))
    return tuple(found)


def _whole_sites(cell: str, width: float, site: float, source: Path) -> int:
    sites = width / site
    if abs(sites - round(sites)) > TOLERANCE or sites < 0.5:
        raise PlacementError(
            f"{source}: cell {cell} is {sites:.2f} sites wide, which is no whole number: cells of "
            "several heights, or the row height and site of another library"
        )
    return round(sites)
