"""Networks whose energy is asked for: artifacts, kept results of training, architectures."""

import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adq.cost.architectures import listed_work
from adq.cost.sources import CostError, architecture_work
from adq.cost.work import LayerWork, NetworkWork
from adq.data import DataError, images_of
from adq.energy.coefficients import Coefficients, EnergyError
from adq.energy.network_energy import NetworkEnergy
from adq.energy.workload import (
    Density,
    architecture_features,
    artifact_features,
    require_samples,
)
from adq.models import ModelError
from adq.runs.results import ResultError, read_result

__all__ = ["ASSUMED_DENSITY", "architecture_energies", "artifact_energy", "result_energies"]

ASSUMED_DENSITY = 0.5
"""Activation density of layers of which none is known."""


def artifact_energy(
    path: Path,
    coefficients: Coefficients,
    images: int | None,
    progress: Callable[[str], None] = lambda layer: None,
) -> NetworkEnergy:
    """Return the energy of a golden artifact, from the operands of its sample images.

    Raises
    ------
    EnergyError
        If it has fewer samples than asked for.
    adq.golden.artifact.ArtifactError
        If it is damaged.
    """
    from adq.golden.artifact import read_artifact

    artifact = read_artifact(path)
    images = len(artifact.samples) if images is None else images
    require_samples(path, artifact, images)
    layers = artifact_features(artifact, coefficients.tile, images, progress)
    plural = "s" if images > 1 else ""
    operands = f"the operands of {images} sample image{plural}"
    return NetworkEnergy.of(str(path), layers, coefficients, operands)


def result_energies(path: Path, coefficients: Coefficients, images: int) -> list[NetworkEnergy]:
    """Return the energy of what a training run left in ``results/``: its network and the one at 16
    bits.

    Raises
    ------
    EnergyError
        If the file is none of these.
    """
    try:
        result = read_result(path)
        network, density = _trained(str(path), result.recipe, result.mixed)
    except FileNotFoundError:
        raise EnergyError(
            f"{path}: is not there: give a golden artifact, a file of results/, or --arch vgg19"
        ) from None
    except ResultError as error:
        raise EnergyError(str(error)) from None
    except (CostError, ModelError) as error:
        raise EnergyError(f"{path}: is damaged: {error}") from None
    except DataError as error:
        raise EnergyError(f"{path}: {error}") from None
    except (ValueError, LookupError, TypeError):
        raise EnergyError(f"{path}: is no result of a training run, or damaged") from None
    return _energies(network, density, "its trained densities", coefficients, images, 0.5)


def _trained(
    name: str, recipe: Mapping[str, Any], mixed: Mapping[str, Any]
) -> tuple[NetworkWork, dict[str, float]]:
    """Return the layers of a result's network, and their densities."""
    model, (shape, classes) = recipe["model"]["name"], images_of(recipe["data"]["name"])
    names = [layer.name for layer in listed_work(model, shape, classes)]
    bits = [operator.index(mixed["bits"][layer]) for layer in names]
    channels = [operator.index(mixed["channels"][layer]) for layer in names[:-1]]
    work = architecture_work(
        model, input_shape=shape, classes=classes, bits=bits, channels=channels
    )
    for layer in work.layers:
        if layer.macs != mixed["macs"][layer.name]:
            raise CostError(
                f"{layer.name} has {mixed['macs'][layer.name]} MACs in it, but by its channels "
                f"{layer.macs}"
            )
    density = {layer: float(share) for layer, share in mixed["density"].items()}
    for layer, share in density.items():
        if layer not in names or not 0 <= share <= 1:
            raise CostError(f"density {share} of {layer}: it must be 0 to 1, of a layer")
    return dataclasses.replace(work, name=name), density


def architecture_energies(
    network: NetworkWork,
    coefficients: Coefficients,
    *,
    densities: Sequence[float],
    weight_density: float,
    images: int,
) -> list[NetworkEnergy]:
    """Return the energy of an architecture, and of the same at 16 bits, with random operands.

    ``densities`` are the activation densities of the layers' outputs, one for all but the last, or
    of each of these.

    Raises
    ------
    EnergyError
        If there are not as many as layers, or one is no share.
    """
    names = [layer.name for layer in network.layers[:-1]]
    if len(densities) not in (0, 1, len(names)):
        raise EnergyError(
            f"density: {len(densities)} are given; give 1, or {len(names)}, one for each of "
            f"{', '.join(names)}"
        )
    for density in (*densities, weight_density):
        if not 0 <= density <= 1:
            raise EnergyError(f"density {density}: it must be 0 to 1")
    said = "the given densities" if densities else f"an assumed density of {ASSUMED_DENSITY}"
    values = list(densities) or [ASSUMED_DENSITY]
    by_name = dict(zip(names, values * (len(names) if len(values) == 1 else 1), strict=True))
    return _energies(network, by_name, said, coefficients, images, weight_density)


def _energies(
    network: NetworkWork,
    densities: Mapping[str, float],
    said: str,
    coefficients: Coefficients,
    images: int,
    weight_density: float,
) -> list[NetworkEnergy]:
    operands = f"random words at {said}, {weight_density:.0%} of the weight bits set"

    def energy(name: str, layers: Sequence[LayerWork]) -> NetworkEnergy:
        features = architecture_features(
            layers,
            coefficients.tile,
            densities=[
                Density(each, weight_density) for each in _input_densities(layers, densities)
            ],
            images=images,
        )
        return NetworkEnergy.of(name, features, coefficients, operands)

    found = [energy(network.name, network.layers)]
    if network.layers != network.baseline:
        found.append(energy(f"{network.name}, {network.baseline_name}", network.baseline))
    return found


def _input_densities(layers: Sequence[LayerWork], outputs: Mapping[str, float]) -> list[float]:
    """Return the density of what each layer reads: the output of the layer before, or on a skip
    connection what its block reads. Images are taken as dense.
    """
    found = []
    now = block = 1.0
    for layer in layers:
        if layer.name.endswith(".conv1"):
            block = now
        if layer.name.endswith(".shortcut.conv"):
            found.append(block)
            continue
        found.append(now)
        now = outputs.get(layer.name, now)
    return found
