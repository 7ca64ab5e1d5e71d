"""A space: axes with their values, objectives, and how it is searched, read from a TOML file."""

import difflib
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.design_result import OBJECTIVES
from adq.explore.axes import AXES
from adq.golden.files.reading import FileError
from adq.golden.files.toml_reader import read_toml

__all__ = ["SAMPLERS", "ExploreError", "Point", "Search", "Space"]

SAMPLERS = ("grid", "random", "tpe", "nsga2")
"""All points; or points that Optuna chooses: at random, or by what earlier points gave."""

MAXIMUM = 20_000
"""Points of a grid that are evaluated at most."""


class ExploreError(ValueError):
    """A space that cannot be explored; the message says where and how to mend it."""


@dataclass(frozen=True)
class Point:
    """A value for each axis of a space, as JSON."""

    text: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Point":
        """Return the point with these values."""
        return cls(json.dumps(dict(values), sort_keys=True))

    @property
    def values(self) -> dict[str, Any]:
        """Value of each axis that the space names."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    def text_of(self, axes: Sequence[str]) -> str:
        """Return the values on some axes, for people."""
        values = self.values
        return ", ".join(f"{name} {values[name]}" for name in axes)

    def __str__(self) -> str:
        return self.text_of(list(self.values))


@dataclass(frozen=True, kw_only=True)
class Search:
    """Settings of the search of a space.

    Attributes
    ----------
    points : int
        Points that a sampler chooses; a grid has all.
    """

    sampler: str = "grid"
    points: int = 100
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Space:
    """Axes, objectives and search.

    Attributes
    ----------
    folder : Path
        Paths in the space are relative to it.
    axes : dict
        Values of each axis, those that do not vary as a list of one.
    """

    name: str
    title: str
    folder: Path
    axes: Mapping[str, Sequence[Any]]
    objectives: tuple[str, ...]
    search: Search

    @property
    def size(self) -> int:
        """Number of points of the whole grid."""
        return math.prod(len(values) for values in self.axes.values())

    @property
    def varied(self) -> list[str]:
        """Axes of more than one value."""
        return [name for name, values in self.axes.items() if len(values) > 1]

    def grid(self) -> Iterator[Point]:
        """Yield all points, the last axis varying fastest."""
        for values in itertools.product(*self.axes.values()):
            yield Point.of(dict(zip(self.axes, values, strict=True)))

    @property
    def digest(self) -> str:
        """Hash of what the search follows from."""
        content = [dict(self.axes), self.objectives, vars(self.search)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def read(cls, path: Path) -> "Space":
        """Read a space from a TOML file.

        Raises
        ------
        ExploreError
            If the file cannot be read, or names something that does not exist.
        """
        try:
            document = read_toml(path)
        except OSError as error:
            raise ExploreError(f"{path}: cannot read the space: {error.strerror}") from None
        except FileError as error:
            raise ExploreError(f"{error}: give the file of a space") from None
        try:
            _known(document, ("title", "objectives", "axes", "search"), "key")
            axes, search = document.get("axes"), document.get("search", {})
            if not isinstance(axes, dict) or not {"network", "recipe"} & axes.keys():
                raise ExploreError(
                    "has no network: put rows, columns and network into a table [axes], each with "
                    "a list of values; or recipe in place of network"
                )
            axes = _flat(axes)
            if not isinstance(search, dict):
                raise ExploreError("search must be a table, with sampler, points and seed")
            _known(axes, tuple(AXES), "axis")
            return cls(
                name=path.stem,
                title=str(document.get("title", path.stem)),
                folder=path.resolve().parent,
                axes={name: _values(name, value) for name, value in axes.items()},
                objectives=_objectives(document.get("objectives", ["energy_pj", "cycles"])),
                search=_search(search),
            )._checked()
        except ExploreError as error:
            raise ExploreError(f"{path}: {error}") from None

    def _checked(self) -> "Space":
        self._check_networks()
        platform = [name for name in self.axes if AXES[name].part == "platform"]
        for name in self.objectives:
            if platform and OBJECTIVES[name].from_synthesis:
                raise ExploreError(
                    f"objective {name} is of a tile alone, and {platform[0]} of a platform: leave "
                    "one out"
                )
        if self.search.sampler == "grid" and self.size > MAXIMUM:
            raise ExploreError(
                f"has {self.size:,} points, more than {MAXIMUM:,}: give fewer values, or a sampler "
                "other than grid"
            )
        return self

    def _check_networks(self) -> None:
        """Refuse axes of networks that are not those of the space."""
        given, other = ("recipe", "network") if "recipe" in self.axes else ("network", "recipe")
        parts = {"recipe": ("training", "recipe"), "network": ("architecture",)}
        for name in self.axes:
            if name == other or AXES[name].part in parts[other]:
                raise ExploreError(
                    f"axis {name} is of spaces with a {other}, and this one has a {given}: leave "
                    "one out"
                )


def _flat(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Return axes with those of a table, such as ``controller.policy``, beside the others."""
    flat: dict[str, Any] = {}
    for name, value in axes.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _known(table: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    for name in table:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
            raise ExploreError(f"unknown {what} {name!r}; {hint}")


def _values(name: str, given: Any) -> list[Any]:
    axis = AXES[name]
    values = given if isinstance(given, list) else [given]
    if not values:
        raise ExploreError(f"axis {name} has no value: give one or more, or leave it out")
    for value in values:
        if not axis.valid(value):
            raise ExploreError(f"axis {name} has the value {value!r}: it must be {axis.form}")
    return list({json.dumps(value): value for value in values}.values())


def _objectives(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(g, str) for g in given):
        raise ExploreError(f"objectives must be a list of names: {', '.join(OBJECTIVES)}")
    _known(dict.fromkeys(given), tuple(OBJECTIVES), "objective")
    return tuple(dict.fromkeys(given))


def _search(given: Mapping[str, Any]) -> Search:
    _known(given, ("sampler", "points", "seed"), "key of [search]")
    sampler = given.get("sampler", "grid")
    if sampler not in SAMPLERS:
        raise ExploreError(f"sampler {sampler!r} must be one of {', '.join(SAMPLERS)}")
    numbers = {"points": 1, "seed": 0}
    for name, least in numbers.items():
        value = given.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ExploreError(f"{name} of [search] must be an integer of at least {least}")
    return Search(**given)
