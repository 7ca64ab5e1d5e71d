"""Coefficients of the energy model, by library and tile, as they are checked in."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from adq.energy.terms import COMPUTE, LOAD, terms_of
from adq.rtl.parameters import TileParameters

__all__ = [
    "Coefficients",
    "EnergyError",
    "JobEnergy",
    "checked_in",
    "coefficients_for",
    "coefficients_of",
    "libraries",
]

FORMAT = 1
"""Of characterizations and coefficients."""

FOLDER = "coefficients"


class EnergyError(ValueError):
    """An energy that cannot be told; the message says why and what would do."""


@dataclasses.dataclass(frozen=True)
class JobEnergy:
    """Energy in fJ.

    Attributes
    ----------
    compute, load : dict of str to float
        Of computing and of loading weights, by block.
    leakage : float
        Of the whole tile for the time that the jobs take.
    """

    compute: dict[str, float]
    load: dict[str, float]
    leakage: float

    def scaled(self, factor: float) -> "JobEnergy":
        """So many times as much."""
        return JobEnergy(
            {block: energy * factor for block, energy in self.compute.items()},
            {block: energy * factor for block, energy in self.load.items()},
            self.leakage * factor,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What a tile's jobs take in a library's cells: fJ a unit of each term.

    ``windows`` holds, for ``compute`` and ``load``, by weight bits and block, the fJ of each term.
    """

    library: str
    conditions: str
    """Node, corner, voltage and temperature, in words."""
    tile: TileParameters
    period_ns: float
    leakage_nw: float
    windows: Mapping[str, Mapping[int, Mapping[str, Mapping[str, float]]]]
    provenance: Mapping[str, Any]
    """Liberty file, netlist, command and date behind the figures, and their error."""
    scaled_from: str = ""
    """The tile that was characterized, where it is another one than ``tile``: an estimate."""

    def energy(self, features: Mapping[str, float], weight_bits: int) -> JobEnergy:
        """Energy of jobs at one weight precision, from their features.

        Raises
        ------
        EnergyError
            If that precision was not characterized.
        """
        terms = terms_of(self.tile, features)

        def window(name: str) -> dict[str, float]:
            if weight_bits not in self.windows[name]:
                known = ", ".join(map(str, sorted(self.windows[name])))
                raise EnergyError(
                    f"{self.library} has no coefficients for {weight_bits}-bit weights, only for "
                    f"{known}: characterize the tile at these, too"
                )
            return {
                block: sum(energy * terms[term] for term, energy in of_block.items())
                for block, of_block in self.windows[name][weight_bits].items()
            }

        # 1 nW for 1 ns is 1e-3 fJ.
        leakage = self.leakage_nw * features["cycles"] * self.period_ns * 1e-3
        return JobEnergy(window("compute"), window("load"), leakage)

    def in_turns(
        self,
        features: Mapping[str, float],
        weight_bits: int,
        *,
        compute_cycles: int,
        load_cycles: int,
    ) -> tuple[float, float]:
        """Energy in fJ of computing and of loading where these take turns, as they do at gate
        level: a load then takes cycles of its own.
        """
        energy = self.energy(features | {"cycles": compute_cycles}, weight_bits)
        every = self.windows["compute"][weight_bits].values()
        idle = load_cycles * sum(terms.get("cycles", 0.0) for terms in every)
        return sum(energy.compute.values()), sum(energy.load.values()) + idle

    def for_tile(self, tile: TileParameters) -> "Coefficients":
        """The same for another tile: terms are counted there, and leakage grows with its cells."""
        if (tile.rows, tile.columns) == (self.tile.rows, self.tile.columns):
            return dataclasses.replace(self, tile=tile)
        cells = tile.rows * tile.columns / (self.tile.rows * self.tile.columns)
        return dataclasses.replace(
            self,
            tile=tile,
            leakage_nw=self.leakage_nw * cells,
            scaled_from=f"{self.tile.rows}x{self.tile.columns}",
        )

    def to_json(self) -> dict[str, Any]:
        """What a file holds."""
        return {
            "format": FORMAT,
            "library": self.library,
            "conditions": self.conditions,
            "tile": dataclasses.asdict(self.tile),
            "period_ns": self.period_ns,
            "leakage_nw": self.leakage_nw,
            "windows": self.windows,
            "provenance": self.provenance,
        }

    @classmethod
    def read(cls, path: Path) -> "Coefficients":
        """Read a file of coefficients.

        Raises
        ------
        EnergyError
            If it is no such file, or is damaged.
        """
        with reading(path, "coefficients") as content:
            return cls(
                library=content["library"],
                conditions=content["conditions"],
                tile=TileParameters(**content["tile"]),
                period_ns=_finite(content["period_ns"]),
                leakage_nw=_finite(content["leakage_nw"]),
                windows={
                    window: {
                        int(bits): {block: _energies(terms) for block, terms in by_block.items()}
                        for bits, by_block in content["windows"][window].items()
                    }
                    for window in ("compute", "load")
                },
                provenance=dict(content["provenance"]),
            )


def _energies(found: Mapping[str, Any]) -> dict[str, float]:
    """Energy of each term of a block."""
    for term in found.keys() - set().union(*COMPUTE.values(), *LOAD.values()):
        raise ValueError(f"{term!r:.40} is no term of the model")
    return {term: _finite(energy) for term, energy in found.items()}


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no energy")
    return float(value)


@contextlib.contextmanager
def reading(path: Path, what: str) -> Iterator[dict[str, Any]]:
    """Give the content of a file of this format; whatever its use raises tells that it is damaged.

    Raises
    ------
    EnergyError
        If it is no such file, or is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.get("format")
        if found == FORMAT:
            yield content
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnergyError(
            f"{path}: is no file of {what}, or damaged ({error}): characterize again"
        ) from None
    if found != FORMAT:
        raise EnergyError(f"{path}: has format {found}, not {FORMAT}: characterize again")


def checked_in() -> list[Coefficients]:
    """All coefficients that come with the package."""
    folder = resources.files("adq.energy") / FOLDER
    return [Coefficients.read(Path(str(file))) for file in sorted(
        (each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda f: f.name
    )]  # fmt: skip


def libraries() -> list[str]:
    """Names of the libraries that have coefficients."""
    return sorted({each.library for each in checked_in()})


def coefficients_for(
    library: str, tile: TileParameters, known: list[Coefficients] | None = None
) -> Coefficients:
    """Coefficients of a library's tile, or of the nearest one that was characterized, which then
    are marked as an estimate.

    Raises
    ------
    EnergyError
        If nothing was characterized in that library.
    """
    known = checked_in() if known is None else known
    candidates = [each for each in known if each.library == library]
    if not candidates:
        names = ", ".join(sorted({each.library for each in known})) or "none at all"
        raise EnergyError(
            f"no coefficients for library {library!r}, only for {names}: characterize a tile with "
            "its liberty file, `adq characterize`, and give the result as --coefficients"
        )

    def distance(each: Coefficients) -> float:
        return abs(math.log(each.tile.rows / tile.rows)) + abs(
            math.log(each.tile.columns / tile.columns)
        )

    return min(candidates, key=distance).for_tile(tile)


def coefficients_of(
    liberty_sha256: str, tile: TileParameters, known: list[Coefficients] | None = None
) -> Coefficients | None:
    """The same by the sha256 of a library's file; None where it was not characterized."""
    known = checked_in() if known is None else known
    of_file = [each for each in known if each.provenance["liberty"]["sha256"] == liberty_sha256]
    return coefficients_for(of_file[0].library, tile, of_file) if of_file else None
