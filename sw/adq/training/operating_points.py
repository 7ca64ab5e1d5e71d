"""Operating points of a run: accuracy against energy, cycles and bits of each of its networks.

They are the networks at the end of each iteration, and, for comparison, the baseline at its own
bits and at uniform 8 and 4 bits. At 8 and 4 bits it was not trained: ranges and weights are only
quantized anew.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adq.data.images import Images
from adq.quantization.prepared import Prepared
from adq.runs.checkpoint import Checkpoint
from adq.runs.evaluation import classify
from adq.runs.run import Run
from adq.training.config import Recipe
from adq.training.recording.measurements import Measurements

__all__ = ["UNIFORM", "OperatingPoint", "average_bits", "operating_points"]

UNIFORM = (8, 4)
"""Bits at which the baseline is evaluated besides its own."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A network of a run, with what it costs."""

    name: str
    """``iteration 2``, or ``16 bits``."""
    trained: bool
    """True if it was trained at these bits."""
    accuracy: float
    """Share of the test images that are classified correctly."""
    average_bits: float
    """Bits in the mean over all multiply-accumulates."""
    energy_nj: float | None
    """Energy of computing an image on the tile, without loading weights; None without a tile."""
    cycles: float | None
    """Cycles of an image on the tile; None without a tile."""
    bits: dict[str, int]
    """Bits of each layer."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return asdict(self)


def average_bits(prepared: Prepared) -> float:
    """Return the bits in the mean over all multiply-accumulates."""
    macs = prepared.macs
    return sum(macs[name] * k for name, k in prepared.bits.items()) / sum(macs.values())


def operating_points(
    run: Run, recipe: Recipe, images: Images, measurements: Measurements | None
) -> list[OperatingPoint]:
    """Return the operating points of a run whose networks are trained.

    Raises
    ------
    adq.runs.checkpoint.CheckpointError
        If a checkpoint of the run is damaged.

    """
    found = []
    for name, trained, prepared in _networks(run, recipe):
        energy = cycles = None
        prepared.model.to(images.device)
        if measurements is not None:
            costs = measurements.costs(prepared).values()
            energy = sum(each.energy for each in costs) / 1000
            cycles = sum(each.cycles for each in costs)
        correct = classify(prepared.model, images) == images.test_labels
        found.append(
            OperatingPoint(
                name=name,
                trained=trained,
                accuracy=correct.double().mean().item(),
                average_bits=average_bits(prepared),
                energy_nj=energy,
                cycles=cycles,
                bits=dict(prepared.bits),
            )
        )
    return found


def _networks(run: Run, recipe: Recipe) -> Iterator[tuple[str, bool, Prepared]]:
    """Yield the networks of a run; each is to be used before the next one is asked for."""
    built: dict[tuple[int, ...], Prepared] = {}

    def load(path: Path) -> tuple[Checkpoint, Prepared]:
        checkpoint = Checkpoint.load(path, recipe=recipe)
        channels = tuple(checkpoint.channels.values())
        if channels in built:  # reading a network's forward takes longer than all else here
            built[channels].model.load_state_dict(checkpoint.state)
        else:
            built[channels] = checkpoint.build()
        return checkpoint, built[channels]

    for path in (*run.iterations().values(), run.mixed):
        checkpoint, prepared = load(path)
        yield f"iteration {checkpoint.controller['iteration']}", True, prepared
    if run.baseline.exists():
        _, baseline = load(run.baseline)
        initial = recipe.controller.initial_bits
        yield f"{initial} bits", True, baseline
        for bits in UNIFORM:
            if bits < initial:
                baseline.set_bits(dict.fromkeys(baseline.layers, bits), keep_ranges=True)
                yield f"{bits} bits", False, baseline
