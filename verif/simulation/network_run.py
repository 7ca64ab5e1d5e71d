"""Results of the simulation of a golden artifact on the tile, layer by layer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.layer_work import LayerWork
from adq.verif.simulation.switching.net_classes import ClassCounts

__all__ = ["LayerRun", "NetworkRun"]


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """Result of a layer on the tile.

    Attributes
    ----------
    work : LayerWork
    cycles : int
        From the first beat offered to the last result.
    counts : ClassCounts
        Switching of all images.
    accumulators, mismatches : int
        Accumulators that were compared with the artifact's, and those that differ.
    windows : dict or None
        By window, where every net was counted; see ``write_windows``.
    """

    work: LayerWork
    cycles: int
    counts: ClassCounts
    accumulators: int
    mismatches: int
    windows: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.work.name

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        work = self.work
        found = {
            "name": self.name,
            "density": work.layer.density,
            "bits": work.layer.weight_bits,
            "weight_bits": work.layer.hardware_weight_bits,
            "activation_bits": work.format.bits,
            "signed": work.format.signed,
            "macs": work.macs,
            "jobs": len(work.jobs),
            "cycles": self.cycles,
            "planned_cycles": work.cycles,
            "accumulators": self.accumulators,
            "mismatches": self.mismatches,
            "switching": self.counts.blocks,
        }
        return found if self.windows is None else found | {"windows": self.windows}


@dataclass(frozen=True, kw_only=True)
class NetworkRun:
    """Result of a network on the tile.

    Attributes
    ----------
    artifact : str
    tile : TileParameters
    images : int
    layers : tuple of LayerRun
        None of them where the tile did not get to the end.
    failure : str
        Why it did not; empty where it did.
    classes_that_differ, correct : int
        Images whose class is not the golden one, and those whose class is the label.
    bins : dict of str to int
        Hits of bins of functional coverage, of layers whose accumulators were right.
    counted_bits, registers : dict of str to int
        Net bits that were counted and register bits, a block.
    windows : dict or None
        Sums of the reset, and the share of the nets that were counted, where every net was.
    """

    artifact: str
    tile: TileParameters
    images: int
    layers: tuple[LayerRun, ...]
    failure: str
    classes_that_differ: int
    correct: int
    bins: Mapping[str, int]
    counted_bits: Mapping[str, int]
    registers: Mapping[str, int]
    windows: Mapping[str, Any] | None = None

    @property
    def accumulators(self) -> int:
        """Number of accumulators that were compared."""
        return sum(layer.accumulators for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Number of accumulators that differ from the artifact's."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Cycles of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def planned_cycles(self) -> int:
        """Cycles that the mapper expects of all layers."""
        return sum(layer.work.cycles for layer in self.layers)

    @property
    def integers_agree(self) -> bool:
        """Return whether the simulation finished and no integer differs."""
        return not (self.failure or self.mismatches or self.classes_that_differ)

    @property
    def agrees(self) -> bool:
        """Return whether no integer differs, and each layer takes the planned cycles."""
        return self.integers_agree and all(
            layer.cycles == layer.work.cycles for layer in self.layers
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        found = {
            "artifact": self.artifact,
            "tile": asdict(self.tile),
            "images": self.images,
            "failure": self.failure,
            "layers": [layer.to_json() for layer in self.layers],
            "accumulators": self.accumulators,
            "mismatches": self.mismatches,
            "planned_cycles": self.planned_cycles,
            "classes_that_differ": self.classes_that_differ,
            "correct": self.correct,
            "bins": dict(self.bins),
            "counted_bits": dict(self.counted_bits),
            "registers": dict(self.registers),
            "agrees": self.agrees,
        }
        return found if self.windows is None else found | {"windows": self.windows}
