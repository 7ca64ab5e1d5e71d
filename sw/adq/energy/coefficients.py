"""Coefficients of the energy model, by library and tile, as they are checked in."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from adq.energy.counted import CountedModel
from adq.energy.fitting.sizes import blend_weights, distance_to, driven, is_inside, leakage_at
from adq.energy.terms import TERMS, terms_of
from adq.golden.files.json_reader import parse
from adq.golden.files.reading import read_file
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.placed_conditions import PlacedConditions

__all__ = [
    "UNMEASURED",
    "Coefficients",
    "EnergyError",
    "JobEnergy",
    "as_bool",
    "blended",
    "checked_in",
    "coefficients_for",
    "coefficients_of",
    "libraries",
]

FORMAT = 3
"""Version of the files of characterizations and coefficients."""

FOLDER = "coefficients"

SLACK = 1e-9

UNMEASURED = "No error was measured as far from the characterized sizes as this one."
"""Note on an estimate whose error was not measured."""


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
        """Multiply the energy."""
        return JobEnergy(
            {block: energy * factor for block, energy in self.compute.items()},
            {block: energy * factor for block, energy in self.load.items()},
            self.leakage * factor,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coefficients:
    """Coefficients of a tile in a library's cells: of counted switching, and of jobs' features.

    ``windows`` holds, for ``compute`` and ``load``, by weight bits and block, the fJ of each term.
    """

    library: str
    conditions: str
    """Node, corner, voltage and temperature, in words."""
    tile: TileParameters
    period_ns: float
    leakage_nw: float
    area_um2: float
    """Area of the cells, without the partial sum buffer."""
    counted: CountedModel
    """Energy of what a simulation of the RTL counts."""
    windows: Mapping[str, Mapping[int, Mapping[str, Mapping[str, float]]]]
    """Energy of what jobs' features predict, where there is no simulation."""
    revisions: Mapping[str, str]
    """Hash of each block's RTL; see :func:`adq.verif.simulation.rtl_revision.tile_revisions`."""
    provenance: Mapping[str, Any]
    """Liberty file, netlist, command and date behind the figures, and their error."""
    layout: PlacedConditions | None = None
    """How the netlist was placed; None for the wires of the library's wire load model."""
    latches: bool = False
    """True if weights are held in latches, not in flip-flops."""
    scaled_from: str = ""
    """The tiles that were characterized, where ``tile`` is none of them: an estimate."""
    bound: float | None = None
    """Largest error of counted energy that was measured on layers which the fit has not seen, at
    this size or, for an estimate, where a size as far from the others was left out; None where none
    was."""
    predictor_bound: float | None = None
    """Largest error of the energy that features predict, likewise."""
    leakage_bound: float | None = None
    """Largest error of an estimate's leakage, likewise."""
    difference: float = 0.0
    """Largest share by which the two differed on those layers; where none was measured as far from
    the characterized sizes, the largest of all."""

    @property
    def without(self) -> tuple[str, ...]:
        """Shares of a tile's energy that a netlist without places does not show."""
        return () if self.layout else ("glitches", "clock tree")

    @property
    def other_revisions(self) -> list[str]:
        """Blocks whose RTL is no longer that which was characterized."""
        from adq.verif.simulation.rtl_revision import tile_revisions

        now = tile_revisions(self.tile.arithmetic)
        return [block for block, revision in now.items() if self.revisions.get(block) != revision]

    def energy(self, features: Mapping[str, float], weight_bits: int) -> JobEnergy:
        """Return the energy of jobs at one weight precision, from their features.

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
        """Return the energy in fJ of computing and of loading where these take turns, as they do at
        gate level: a load then takes cycles of its own.
        """
        energy = self.energy({**features, "cycles": compute_cycles}, weight_bits)
        every = self.windows["compute"][weight_bits].values()
        idle = load_cycles * sum(terms.get("cycles", 0.0) for terms in every)
        return sum(energy.compute.values()), sum(energy.load.values()) + idle

    def for_tile(self, tile: TileParameters) -> "Coefficients":
        """Return coefficients for another tile, by this size alone."""
        return blended([self], tile)

    def to_json(self) -> dict[str, Any]:
        """Return what a file holds."""
        return {
            "format": FORMAT,
            "library": self.library,
            "conditions": self.conditions,
            "tile": dataclasses.asdict(self.tile),
            "period_ns": self.period_ns,
            "leakage_nw": self.leakage_nw,
            "area_um2": self.area_um2,
            "revisions": dict(self.revisions),
            "counted": self.counted.to_json(),
            "windows": self.windows,
            "layout": dataclasses.asdict(self.layout) if self.layout else None,
            "latches": self.latches,
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
                area_um2=_finite(content["area_um2"]),
                counted=CountedModel.from_json(content["counted"]),
                revisions={block: str(each) for block, each in content["revisions"].items()},
                windows={
                    window: {
                        int(bits): {block: _energies(terms) for block, terms in by_block.items()}
                        for bits, by_block in content["windows"][window].items()
                    }
                    for window in ("compute", "load")
                },
                layout=PlacedConditions.from_json(content.get("layout")),
                latches=as_bool(content, "latches"),
                provenance=dict(content["provenance"]),
                bound=content["provenance"].get("counted_held_out_error"),
                predictor_bound=content["provenance"].get("held_out_error"),
                difference=float(content["provenance"].get("difference") or 0.0),
            )


def _energies(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the energy of each term of a block."""
    for term in found.keys() - TERMS:
        raise ValueError(f"{term!r:.40} is no term of the model")
    return {term: _finite(energy) for term, energy in found.items()}


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no energy")
    return float(value)


def as_bool(content: Mapping[str, Any], name: str) -> bool:
    """Return a value that is true or false, and false where it is missing."""
    value = content.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {value!r:.40} is neither true nor false")
    return value


LARGEST = 2**30
"""Bytes of a file of this format at most."""


@contextlib.contextmanager
def reading(
    path: Path, what: str, *, form: int = FORMAT, remedy: str = "characterize again"
) -> Iterator[dict[str, Any]]:
    """Give the content of a JSON file of a format, less ``format``.

    An error of a value, key or type in the ``with`` block means that the file is damaged.

    Raises
    ------
    EnergyError
        If it is no such file, has another format, or is damaged.
    """
    try:
        content = parse(read_file(path, LARGEST))
        found = content.pop("format", None)
        if found == form:
            yield content
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnergyError(f"{path}: is no file of {what}, or damaged ({error}): {remedy}") from None
    if found != form:
        raise EnergyError(f"{path}: has format {found}, not {form}: {remedy}")


def checked_in() -> list[Coefficients]:
    """Return all coefficients that come with the package."""
    folder = resources.files("adq.energy") / FOLDER
    return [Coefficients.read(Path(str(file))) for file in sorted(
        (each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda f: f.name
    )]  # fmt: skip


def libraries() -> list[str]:
    """Return the names of the libraries that have coefficients."""
    return sorted({each.library for each in checked_in()})


def coefficients_for(
    library: str, tile: TileParameters, known: list[Coefficients] | None = None
) -> Coefficients:
    """Return the coefficients of a library's tile, or a mean of those around it that were
    characterized, which then is marked as an estimate.

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

    return blended(candidates, tile)


def blended(known: Sequence[Coefficients], tile: TileParameters) -> Coefficients:
    """Return the coefficients of a tile from those of characterized sizes of one library: its own,
    or a mean of those around it, see :mod:`adq.energy.fitting.sizes`.

    Tiles with the tile's arithmetic are preferred. Where there are none, no error was measured, and
    the column adders are of another revision.
    """
    alike = [each for each in known if each.tile.arithmetic == tile.arithmetic]
    if not alike:
        found = blended(known, dataclasses.replace(tile, arithmetic=known[0].tile.arithmetic))
        return dataclasses.replace(
            found, tile=tile, bound=None, predictor_bound=None, leakage_bound=None
        )
    known = alike
    target = tile.rows, tile.columns
    sizes = [(each.tile.rows, each.tile.columns) for each in known]
    if target in sizes:
        return dataclasses.replace(known[sizes.index(target)], tile=tile)
    weights = blend_weights(sizes, target)
    parts = [(each, weight) for each, weight in zip(known, weights, strict=True) if weight]
    scaled = [
        (each.counted.scaled(_ratios(driven(each.tile), driven(tile))), weight)
        for each, weight in parts
    ]
    inside, distance = is_inside(sizes, target), distance_to(sizes, target)
    # Sizes that were left out where they were as far from the others as the tile is.
    as_far = [
        each.provenance
        for each in known
        if len(known) > 1
        and each.provenance.get("left_out_inside") == inside
        and each.provenance.get("left_out_distance", 0.0) >= distance - SLACK
    ]

    def bound(name: str) -> float | None:
        return max((abs(provenance[name]) for provenance in as_far), default=None)

    return dataclasses.replace(
        parts[0][0],
        tile=tile,
        leakage_nw=leakage_at(sizes, [each.leakage_nw for each in known], target),
        area_um2=leakage_at(sizes, [each.area_um2 for each in known], target),
        counted=CountedModel.blend(scaled),
        windows={
            window: _mean([(each.windows[window], weight) for each, weight in parts])
            for window in ("compute", "load")
        },
        scaled_from=" and ".join(f"{each.tile.rows}x{each.tile.columns}" for each, _ in parts),
        bound=bound("left_out_error"),
        predictor_bound=bound("left_out_predictor_error"),
        leakage_bound=bound("left_out_leakage_error"),
        difference=max(
            (
                each.provenance["left_out_difference"]
                for each in known
                if "left_out_difference" in each.provenance
            ),
            default=0.0,
        ),
    )


def _ratios(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: value / before[name] for name, value in after.items()}


def _mean(parts: Sequence[tuple[Mapping[Any, Any], float]]) -> dict[Any, Any]:
    """Return the mean of mappings of the same form, each with its weight."""
    names = dict.fromkeys(name for part, _ in parts for name in part)
    found: dict[Any, Any] = {}
    for name in names:
        values = [(part[name], weight) for part, weight in parts if name in part]
        if isinstance(values[0][0], Mapping):
            found[name] = _mean(values)
        else:
            found[name] = sum(value * weight for value, weight in values)
    return found


def coefficients_of(
    liberty_sha256: str, tile: TileParameters, known: list[Coefficients] | None = None
) -> Coefficients | None:
    """Return coefficients by the sha256 of a library's file, with the wires of its wire load model
    and weights in flip-flops; None where it was not characterized.
    """
    known = checked_in() if known is None else known
    of_file = [
        each
        for each in known
        if each.layout is None
        and not each.latches
        and each.provenance["liberty"]["sha256"] == liberty_sha256
    ]
    return coefficients_for(of_file[0].library, tile, of_file) if of_file else None
