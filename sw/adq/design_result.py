"""The one shape of a result: a network on a tile, whatever told its energy, cycles and area.

``adq explore`` writes a table of these; ``adq energy``, ``adq sim`` and ``adq map`` write them
beside their own tables. A figure that nobody has told is None, and stands as ``null`` in JSON.
"""

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema

__all__ = [
    "FORMAT",
    "OBJECTIVES",
    "SCHEMA",
    "DesignResult",
    "LayerResult",
    "Method",
    "Objective",
    "ResultShapeError",
]

FORMAT = 1
"""Version of the shape. It rises where a field changes its meaning or disappears."""


class ResultShapeError(ValueError):
    """A JSON document that is no result; the message says where it differs."""


class Method(enum.StrEnum):
    """Method by which energy and cycles were found."""

    PREDICTED = "predicted"
    """The energy model, from operands."""
    COUNTED = "counted"
    """A simulation of the RTL, from its counted switching."""
    PLANNED = "planned"
    """The mapper; it tells cycles alone."""
    SYNTHESIZED = "synthesized"
    """A synthesis of the tile, for no network; it tells area and longest path alone."""


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """A layer, an image.

    Attributes
    ----------
    weight_bits, activation_bits : int
        On the tile.
    compute_pj, load_pj : float or None
        Energy of computing, and of loading weights.
    blocks_pj : dict of str to float
        Energy of computing and, where it is counted, of loading, by block of the tile.
    """

    name: str
    macs: int
    weight_bits: int
    activation_bits: int
    cycles: float
    compute_pj: float | None = None
    load_pj: float | None = None
    blocks_pj: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DesignResult:
    """A network on a tile, an image.

    Attributes
    ----------
    network : str
        Artifact, result of training, or architecture; empty for a tile alone.
    point : dict
        Values of the axes, where it is a point of a space.
    tile : dict of str to int
        Parameters of the tile.
    library : str
        Cell library of energy, area and paths.
    images : int
        Images that share a weight load.
    compute_pj, load_pj, leakage_pj : float or None
        Energy of computing, of loading weights, and of leakage, in pJ.
    cycles : float or None
    area_um2 : float or None
        Cells of the tile without its partial sum buffer, in um2.
    longest_path_ns : float or None
        Longest path of the same tile, in ns.
    accuracy : float or None
        Share of the test images that are classified correctly, as training measured it.
    accuracy_deviation : float or None
        Standard deviation of the accuracy where the figures are means over seeds of training.
    layers : tuple of LayerResult
    labels : tuple of str
        What a reader has to know of the figures.
    """

    network: str
    method: Method
    tile: Mapping[str, int]
    library: str
    images: int = 1
    point: Mapping[str, Any] = field(default_factory=dict)
    compute_pj: float | None = None
    load_pj: float | None = None
    leakage_pj: float | None = None
    cycles: float | None = None
    area_um2: float | None = None
    longest_path_ns: float | None = None
    accuracy: float | None = None
    accuracy_deviation: float | None = None
    layers: tuple[LayerResult, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def energy_pj(self) -> float | None:
        """Energy of computing and of loading weights."""
        if self.compute_pj is None or self.load_pj is None:
            return None
        return self.compute_pj + self.load_pj

    @property
    def clock_mhz(self) -> float | None:
        """Highest clock frequency."""
        return None if self.longest_path_ns is None else 1000 / self.longest_path_ns

    @property
    def latency_us(self) -> float | None:
        """Time of an image at the highest clock frequency."""
        if self.cycles is None or self.longest_path_ns is None:
            return None
        return self.cycles * self.longest_path_ns / 1000

    @property
    def energy_delay_pj_us(self) -> float | None:
        """Energy times latency at the highest clock frequency."""
        if self.energy_pj is None or self.latency_us is None:
            return None
        return self.energy_pj * self.latency_us

    @property
    def energy_cycles_pj(self) -> float | None:
        """Energy times cycles: the energy-delay product at a common clock frequency."""
        if self.energy_pj is None or self.cycles is None:
            return None
        return self.energy_pj * self.cycles

    def objective(self, name: str) -> float | None:
        """Return the figure of one of ``OBJECTIVES``."""
        value: float | None = getattr(self, name)
        return value

    def blocks_pj(self) -> dict[str, float]:
        """Return the energy by block, over all layers."""
        total: dict[str, float] = {}
        for layer in self.layers:
            for block, energy in layer.blocks_pj.items():
                total[block] = total.get(block, 0.0) + energy
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON, with the objectives that follow from its fields."""
        document = dataclasses.asdict(self) | {"method": self.method.value}
        document["layers"] = [dataclasses.asdict(layer) for layer in self.layers]
        document["labels"] = list(self.labels)
        return {
            "format": FORMAT,
            **document,
            "objectives": {name: self.objective(name) for name in OBJECTIVES},
        }

    @classmethod
    def from_json(cls, document: Any) -> "DesignResult":
        """Read a result.

        Raises
        ------
        ResultShapeError
            If it is none.
        """
        try:
            jsonschema.validate(document, SCHEMA)
        except jsonschema.ValidationError as error:
            place = "/".join(map(str, error.absolute_path)) or "the document"
            raise ResultShapeError(f"{place}: {error.message:.200}") from None
        names = [each.name for each in dataclasses.fields(cls)]
        fields = {name: document[name] for name in names if name in document}
        fields["method"] = Method(fields["method"])
        fields["layers"] = tuple(LayerResult(**layer) for layer in fields["layers"])
        fields["labels"] = tuple(fields["labels"])
        return cls(**fields)

    def write(self) -> str:
        """Return the text of the result as a file."""
        return json.dumps(self.to_json(), indent=1) + "\n"


@dataclass(frozen=True)
class Objective:
    """A figure by which designs are compared."""

    name: str
    unit: str
    title: str
    largest: bool = False
    """True if more is better."""
    from_synthesis: bool = False
    """True if it takes a synthesis of the tile."""

    def better(self, one: float, other: float) -> bool:
        """Return whether one value is strictly better than another."""
        return one > other if self.largest else one < other


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("energy_pj", "pJ", "energy an image"),
        Objective("compute_pj", "pJ", "compute energy an image"),
        Objective("load_pj", "pJ", "weight load energy an image"),
        Objective("leakage_pj", "pJ", "leakage an image"),
        Objective("cycles", "cycles", "cycles an image"),
        Objective("energy_cycles_pj", "pJ x cycles", "energy x cycles"),
        Objective("area_um2", "um2", "cell area", from_synthesis=True),
        Objective("clock_mhz", "MHz", "clock frequency", largest=True, from_synthesis=True),
        Objective("latency_us", "us", "latency of an image", from_synthesis=True),
        Objective("energy_delay_pj_us", "pJ x us", "energy-delay product", from_synthesis=True),
        Objective("accuracy", "", "accuracy", largest=True),
    )
}
"""Objectives that can be optimized, by name."""

_NUMBER = {"type": ["number", "null"]}

_OBJECT = {"type": "object"}

_LATER = ("accuracy_deviation",)
"""Fields that documents of before do not have."""

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "adq design result",
    "type": "object",
    "required": [
        "format",
        *(each.name for each in dataclasses.fields(DesignResult) if each.name not in _LATER),
    ],
    "properties": {
        "format": {"const": FORMAT},
        "network": {"type": "string"},
        "method": {"enum": [each.value for each in Method]},
        "tile": {"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
        "library": {"type": "string"},
        "images": {"type": "integer", "minimum": 1},
        "point": _OBJECT,
        **dict.fromkeys(("compute_pj", "load_pj", "leakage_pj", "cycles", "area_um2"), _NUMBER),
        "longest_path_ns": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "accuracy": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "accuracy_deviation": {"type": ["number", "null"], "minimum": 0},
        "layers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [each.name for each in dataclasses.fields(LayerResult)],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    **{
                        name: {"type": "integer", "minimum": 0}
                        for name in ("macs", "weight_bits", "activation_bits")
                    },
                    "cycles": {"type": "number"},
                    **dict.fromkeys(("compute_pj", "load_pj"), _NUMBER),
                    "blocks_pj": {"type": "object", "additionalProperties": {"type": "number"}},
                },
            },
        },
        "labels": {"type": "array", "items": {"type": "string"}},
        "objectives": _OBJECT,
    },
    "additionalProperties": False,
}
"""JSON schema of :meth:`DesignResult.to_json`."""
