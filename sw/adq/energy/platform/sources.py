"""Networks whose energy on a platform is told: artifacts, and shapes of known networks."""

from collections.abc import Callable
from pathlib import Path

from adq.energy.coefficients import Coefficients, EnergyError
from adq.energy.platform.blocks import PlatformBlocks
from adq.energy.platform.model import PlatformEnergy, platform_energy
from adq.golden.network import Network
from adq.golden.platform.planning.planner import BATCH, plan
from adq.golden.platform.planning.shapes import resnet18, vgg19
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["BASELINE", "artifact_on_platform", "shape_on_platform"]

SHAPES: dict[str, Callable[[int], Network]] = {"vgg19": vgg19, "resnet18": resnet18}
"""Networks that are known by their shapes, by hidden bits."""

BASELINE = 16
"""Hidden bits that a shape is held against."""


def artifact_on_platform(
    path: Path,
    platform: PlatformParameters,
    tile: Coefficients,
    blocks: PlatformBlocks,
    *,
    batch: int = BATCH,
) -> PlatformEnergy:
    """Return the energy of an artifact; the array's is that of the operands of its samples.

    Raises
    ------
    adq.golden.artifact.ArtifactError
        If it is damaged.
    adq.golden.platform.planning.steps.PlanError
        If the platform cannot run it.
    """
    from adq.energy.sources import artifact_energy
    from adq.golden.artifact import read_artifact
    from adq.golden.conversion import converted

    network = converted(read_artifact(path)).artifact.network
    on_tile = artifact_energy(path, tile, None)
    return platform_energy(
        plan(network, platform, batch=batch),
        tile,
        blocks,
        name=str(path),
        tiles={each.layer.name: each for each in on_tile.layers},
    )


def shape_on_platform(
    name: str,
    bits: int,
    platform: PlatformParameters,
    tile: Coefficients,
    blocks: PlatformBlocks,
    *,
    batch: int = BATCH,
) -> PlatformEnergy:
    """Return the energy of a known network whose hidden layers have ``bits``, with random words,
    half of them zero.

    Raises
    ------
    EnergyError
        If there is no such network.
    adq.golden.platform.planning.steps.PlanError
        If the platform cannot run it.
    """
    if name not in SHAPES:
        raise EnergyError(
            f"{name}: its shape is not known for a platform: it must be one of "
            f"{', '.join(SHAPES)}, or a golden artifact"
        )
    made = plan(SHAPES[name](bits), platform, batch=batch)
    title = f"{name}, hidden layers at {bits} bits"
    densities = {made.steps[0].step.node: 1.0}
    return platform_energy(made, tile, blocks, name=title, densities=densities)
