"""Confirmation: points of the front simulated, and their energy counted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adq.design_result import DesignResult
from adq.energy.design_results import counted_result
from adq.energy.simulated import energies_of
from adq.explore.evaluation import Network, evaluate, model_of, tile_of
from adq.explore.exploration import Exploration
from adq.explore.platform_points import is_of_platform
from adq.explore.space import ExploreError, Point
from adq.simulation import SimulatedNetwork, simulate_networks
from adq.verif.processes import Processes

__all__ = ["Confirmation", "confirm"]


@dataclass(frozen=True)
class Confirmation:
    """A point of the front that was simulated."""

    predicted: DesignResult
    counted: DesignResult
    problems: tuple[str, ...]
    """Problems that the simulation found."""

    @property
    def difference(self) -> float | None:
        """Predicted energy over counted energy, less one; None where the simulation broke off."""
        if not self.predicted.energy_pj or not self.counted.energy_pj:
            return None
        return self.predicted.energy_pj / self.counted.energy_pj - 1

    def to_json(self) -> dict[str, Any]:
        """Return both results, and how they differ."""
        return {
            "predicted": self.predicted.to_json(),
            "counted": self.counted.to_json(),
            "energy_difference": self.difference,
            "problems": list(self.problems),
        }


def confirm(
    exploration: Exploration,
    count: int,
    *,
    out: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[Confirmation]:
    """Simulate the first points of the front whose network is a golden artifact, on a tile alone.

    Raises
    ------
    ExploreError
        If the front has no such point.
    SimulationError
        If a simulation breaks off.
    """
    found: list[Confirmation] = []
    for predicted in exploration.front:
        network = Network.find(predicted.network, exploration.folder)
        if network.artifact is None or is_of_platform(predicted.point):
            continue
        tile = tile_of(predicted.point)
        if predicted.accuracy_deviation is not None:
            # A mean over seeds: the first of its networks is simulated.
            alone = evaluate(
                Processes(),
                Point.of(predicted.point),
                (network,),
                exploration.space.folder,
            )
            assert isinstance(alone, DesignResult)
            predicted = alone
        [run] = simulate_networks(
            [network.artifact],
            tile,
            predicted.images,
            out / f"{len(found) + 1}-{tile.rows}x{tile.columns}",
            cache,
            progress,
        )
        # By the coefficients of the point, which may be of another library.
        energies = energies_of(run.run, model_of(predicted.point, exploration.space.folder))
        run = replace(run, energies=energies)
        found.append(Confirmation(predicted, _counted(run, predicted), tuple(run.problems)))
        if len(found) == count:
            break
    if not found:
        raise ExploreError(
            "no point of the front has a golden artifact on a tile alone, which a simulation "
            "needs: export one with `adq export`, and put it into the axis network; `adq sim "
            "--platform` runs it on a platform"
        )
    return found


def _counted(run: SimulatedNetwork, predicted: DesignResult) -> DesignResult:
    return replace(
        counted_result(run.run, run.energies),
        network=predicted.network,
        point=predicted.point,
        area_um2=predicted.area_um2,
        longest_path_ns=predicted.longest_path_ns,
        accuracy=predicted.accuracy,
    )
