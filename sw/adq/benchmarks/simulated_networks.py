"""Named networks on the RTL: integers, cycles and energy of each, counted and predicted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from adq.benchmarks.named_networks import NETWORKS
from adq.export import export_network
from adq.quantization.prepared import prepare
from adq.rtl.parameters import TileParameters
from adq.simulation import SimulatedNetwork, simulate_networks

__all__ = ["simulate_named"]

TOO_LARGE = ("mobilenetv1", "resnet18", "resnet56-a")
"""Networks whose simulation takes minutes."""

SEED = 11

BITS = (4, 2, 3)
"""Bits of the inner layers, in turn."""

END_BITS = 8
"""Bits of the first and the last layer."""


def simulate_named(
    tile: TileParameters, out: Path, cache: Path, progress: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Simulate each named network with random weights on one image, and yield its result.

    Raises
    ------
    adq.verif.simulation.simulator.SimulationError
        If the model of the tile cannot be built.

    """
    for name in NETWORKS:
        if name in TOO_LARGE:
            continue
        progress(f"{name}: exporting")
        folder = out / name.replace(" ", "-")
        _export(name, folder)
        [simulated] = simulate_networks([folder], tile, 1, out / "runs", cache, progress)
        yield _result(name, simulated)


def _export(name: str, folder: Path) -> None:
    """Write a network as an artifact with one image, with ranges of two random batches."""
    torch.manual_seed(SEED)
    named = NETWORKS[name]
    network, images = named.build(), torch.randn(2, *named.shape)
    prepared = prepare(network, images[:1])
    layers = prepared.layers
    bits = {layer: BITS[place % len(BITS)] for place, layer in enumerate(layers)}
    prepared.set_bits(bits | {layers[0]: END_BITS, layers[-1]: END_BITS})
    prepared.model.train()
    for _ in range(2):
        prepared.model(images)
    prepared.model.eval()
    export_network(prepared, folder, name=folder.name, images=images[:1])


def _result(name: str, simulated: SimulatedNetwork) -> dict[str, Any]:
    """Return what a simulation found, of each layer, as plain values."""
    return {
        "network": name,
        "layers": [
            {
                "name": layer.run.name,
                "macs": layer.run.work.macs,
                "accumulators": layer.run.accumulators,
                "mismatches": layer.run.mismatches,
                "cycles": layer.run.cycles,
                "planned_cycles": layer.run.work.cycles,
                "counted_pj": round(layer.counted.total / 1000, 3),
                "predicted_pj": round(layer.predicted_total / 1000, 3),
            }
            for layer in simulated.energies.layers
        ],
        "agrees": simulated.agrees,
    }
