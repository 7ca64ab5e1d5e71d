"""Points of a space whose tiles stand in a platform: planned, with the energy of all blocks."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adq.design_result import DesignResult, LayerResult, Method
from adq.energy.coefficients import Coefficients
from adq.energy.platform.blocks import platform_blocks
from adq.energy.platform.model import PlatformEnergy
from adq.energy.platform.sources import artifact_on_platform, shape_on_platform
from adq.explore.axes import AXES
from adq.explore.space import ExploreError
from adq.golden.platform.planning.planner import BATCH
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["is_of_platform", "platform_of", "platform_result"]

SIZES = ("rows", "columns")
"""Axes of a tile that a platform has, too."""

SHAPE = ("bits",)
"""Axes of an architecture that a platform's networks have: bits of the hidden layers."""

LABEL = "a whole platform: partial sums, requantizers, memories and control count"


def is_of_platform(values: Mapping[str, Any]) -> bool:
    """Return whether a point names an axis of platforms."""
    return any(AXES[name].part == "platform" for name in values)


def platform_of(values: Mapping[str, Any]) -> PlatformParameters:
    """Return the platform of a point.

    Raises
    ------
    ExploreError
        If the point names an axis that platforms do not have.
    ParameterError
        If a parameter is out of range.
    """
    sizes = {}
    for name, value in values.items():
        part = AXES[name].part
        if name in SIZES or part == "platform":
            sizes[name] = value
        elif part == "tile" or (part == "architecture" and name not in SHAPE):
            raise ExploreError(
                f"{name} is of a tile alone, and the point is of a platform: leave it out, or the "
                "axes of platforms"
            )
    return PlatformParameters(**sizes)


def platform_result(
    values: Mapping[str, Any], network: str, path: Path | None, tile: Coefficients
) -> DesignResult:
    """Return what the plan and the energy model predict of a network on the platform of a point.

    Parameters
    ----------
    network, path
        Name of a known shape, with the path None; or of a golden artifact, and its folder.
    tile
        Coefficients of a tile of the platform.

    Raises
    ------
    ExploreError, EnergyError, ParameterError, adq.golden.artifact.ArtifactError
        If the point cannot be built.
    adq.golden.platform.planning.steps.PlanError
        If the platform cannot run the network.
    """
    platform = platform_of(values)
    blocks = platform_blocks()
    blocks.require_same_cells(tile)
    batch = values.get("images", BATCH)
    if path is None:
        bits = values.get("bits", AXES["bits"].default)
        if not isinstance(bits, int):
            raise ExploreError("bits is a list: on a platform it is a number, of hidden layers")
        found = shape_on_platform(network, bits, platform, tile, blocks, batch=batch)
    elif path.is_dir():
        if "bits" in values:
            raise ExploreError(f"bits is of architectures, and {network} has its own: leave it out")
        found = artifact_on_platform(path, platform, tile, blocks, batch=batch)
    else:
        raise ExploreError(
            f"{network} is a result of training, which has no weights to plan: give its artifact"
        )
    return _result(found, values, network, platform, tile.library, batch)


def _result(
    found: PlatformEnergy,
    values: Mapping[str, Any],
    network: str,
    platform: PlatformParameters,
    library: str,
    batch: int,
) -> DesignResult:
    loads = found.part("loads")
    return DesignResult(
        network=network,
        method=Method.PREDICTED,
        tile=asdict(platform),
        library=library,
        images=batch,
        point=values,
        compute_pj=found.total - loads,
        load_pj=loads,
        cycles=found.cycles,
        layers=tuple(
            LayerResult(
                name=step.node,
                macs=step.macs,
                weight_bits=step.weight_bits,
                activation_bits=step.planes,
                cycles=step.cycles,
                compute_pj=step.total - step.pj["loads"],
                load_pj=step.pj["loads"],
                blocks_pj={part: pj for part, pj in step.pj.items() if part != "loads"},
            )
            for step in found.steps
        ),
        labels=(LABEL,),
    )
