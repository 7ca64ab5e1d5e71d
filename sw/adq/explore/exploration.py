"""An exploration: points evaluated in parallel, and completed by syntheses."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adq.design_result import OBJECTIVES, DesignResult
from adq.explore.evaluation import (
    REASONS,
    Network,
    Skipped,
    evaluate,
    key_of,
    model_of,
    tile_of,
)
from adq.explore.outcome.front import front, missing
from adq.explore.outcome.store import Store, TileSynthesis, array_of, synthesize_tile
from adq.explore.platform_points import is_of_platform, platform_of
from adq.explore.sampling import search
from adq.explore.space import ExploreError, Point, Space
from adq.explore.trained_networks import (
    TrainedNetwork,
    Trainer,
    check_recipe,
    trained_networks,
)
from adq.rtl.parameters import TileParameters
from adq.verif.liberty.library import Library
from adq.verif.parallel.pools import Away, Pool, Task
from adq.verif.parallel.shards import WHOLE, Shard
from adq.verif.tasks import side_by_side

__all__ = ["Exploration", "Explorer"]


@dataclass(frozen=True)
class Exploration:
    """Results of the points of a space."""

    space: Space
    results: tuple[DesignResult, ...]
    """Results in the order in which the points were chosen."""
    skipped: dict[Point, str]
    """Points that cannot be built, and why."""
    folder: Path
    """Folder to which names of networks are relative: of the space, or of trained networks."""

    @property
    def incomplete(self) -> dict[str, int]:
        """Objectives, and how many results have no figure for each."""
        counts: dict[str, int] = {}
        for result in self.results:
            for name in missing(result, self.space.objectives):
                counts[name] = counts.get(name, 0) + 1
        return counts

    @functools.cached_property
    def front(self) -> list[DesignResult]:
        """Results that no other one beats, by the first objective, best first."""
        return front(self.results, self.space.objectives)

    @functools.cached_property
    def _places(self) -> dict[int, int]:
        """Place of each result of the front in ``results``, by identity."""
        places = {id(result): place for place, result in enumerate(self.results)}
        return {id(result): places[id(result)] for result in self.front}

    def on_front(self, result: DesignResult) -> bool:
        """Return whether one of the results is on the front."""
        return id(result) in self._places

    def to_json(self) -> dict[str, Any]:
        """Return the table of results as JSON."""
        return {
            "format": 1,
            "space": self.space.name,
            "title": self.space.title,
            "digest": self.space.digest,
            "objectives": list(self.space.objectives),
            "axes": dict(self.space.axes),
            "results": [result.to_json() for result in self.results],
            "front": [*self._places.values()],
            "skipped": [
                {"point": point.values, "reason": reason} for point, reason in self.skipped.items()
            ],
            "incomplete": self.incomplete,
        }


class Explorer:
    """Evaluates points of a space, each once for the same content.

    Parameters
    ----------
    liberty
        Liberty file with which tiles are synthesized that have not been; None for none.
    strict
        Whether a point that cannot be built is an error.
    progress
        Called with points done and points begun, of which the results are known or new.
    """

    def __init__(
        self,
        space: Space,
        store: Store,
        pool: Pool,
        *,
        liberty: Path | None = None,
        strict: bool = False,
        shard: Shard = WHOLE,
        progress: Callable[[int, int, str], None] = lambda done, total, stage: None,
    ):
        self.space = space
        self.store = store
        self.pool = pool
        self.liberty = liberty
        self.strict = strict
        self.shard = shard
        self.progress = progress
        self.new = 0
        """Points that were evaluated, and not read."""
        self.networks = {
            str(name): Network.find(str(name), space.folder)
            for name in space.axes.get("network", ())
        }
        for name in space.axes.get("recipe", ()):
            check_recipe(name, space.folder)
        self.trainer = Trainer(store.trained, pool, progress)
        self.folder = self.trainer.folder if "recipe" in space.axes else space.folder
        self.library = None if liberty is None else Library.read(liberty)

    def explore(self) -> Exploration:
        """Search the space.

        Raises
        ------
        ExploreError
            With ``strict``, if a point cannot be built; or if no point has all objectives.
        """
        if self.shard != WHOLE and self.space.search.sampler != "grid":
            raise ExploreError(
                f"the sampler {self.space.search.sampler} has no shards, since it learns from all "
                "points: take the grid, or --cluster"
            )
        found = search(self.space, self.evaluate)
        results = tuple(each for each in found.values() if isinstance(each, DesignResult))
        skipped = {point: each.reason for point, each in found.items() if isinstance(each, Skipped)}
        return Exploration(self.space, results, skipped, self.folder)

    def evaluate(self, points: Sequence[Point]) -> dict[Point, DesignResult | Skipped]:
        """Return the results of points, in their order."""
        points = self.shard.of(points)
        found: dict[Point, DesignResult | Skipped] = {}
        networks: dict[Point, tuple[Network, ...]] = {}
        for point, given in self._networks_of(points).items():
            if isinstance(given, Skipped):
                self._check_strict(point, given)
                found[point] = given
            else:
                networks[point] = given
        keys = {point: key_of(point, networks[point], self.space.folder) for point in networks}
        for point, key in keys.items():
            known = self.store.read(key)
            if known is not None:
                found[point] = known
        waiting = {str(number): p for number, p in enumerate(points) if p not in found}
        tasks = [
            Task(
                name,
                kind=networks[point][0].name,
                away=Away(
                    evaluate,
                    (point, networks[point], self.space.folder),
                    functools.partial(self._keep, keys[point]),
                ),
            )
            for name, point in waiting.items()
        ]
        self.progress(len(found), len(points), "known")
        for name, result in side_by_side(tasks, self.pool):
            point = waiting[name]
            assert isinstance(result, DesignResult | Skipped)
            self._check_strict(point, result)
            found[point] = result
            self.new += isinstance(result, DesignResult)
            self.progress(len(found), len(points), str(point))
        return self._with_synthesis({point: found[point] for point in points})

    def _check_strict(self, point: Point, result: DesignResult | Skipped) -> None:
        if isinstance(result, Skipped) and self.strict:
            raise ExploreError(f"{point}: {result.reason}; without --strict it is left out")

    def _networks_of(self, points: Sequence[Point]) -> dict[Point, tuple[Network, ...] | Skipped]:
        """Return the networks of points, a network for each seed, and train those that are new."""
        if "recipe" not in self.space.axes:
            return {point: (self.networks[point.values["network"]],) for point in points}
        found: dict[Point, tuple[Network, ...] | Skipped] = {}
        wanted: dict[Point, list[TrainedNetwork]] = {}
        for point in points:
            try:
                # Nothing is trained for a point that cannot be built.
                model_of(point.values, self.space.folder)
                if is_of_platform(point.values):
                    platform_of(point.values)
                wanted[point] = trained_networks(point.values, self.space.folder)
            except REASONS as error:
                skipped = Skipped(str(error))
                self._check_strict(point, skipped)
                found[point] = skipped
        self.trainer.train([network for each in wanted.values() for network in each])
        for point, networks in wanted.items():
            reasons = [self.trainer.refused.get(network) for network in networks]
            reason = next(filter(None, reasons), None)
            found[point] = (
                tuple(Network.find(str(each.artifact(Path())), self.folder) for each in networks)
                if reason is None
                else Skipped(reason)
            )
        return found

    def _keep(self, key: str, result: DesignResult | Skipped) -> DesignResult | Skipped:
        if isinstance(result, DesignResult):
            self.store.keep(key, result)
        return result

    def _with_synthesis(
        self, found: dict[Point, DesignResult | Skipped]
    ) -> dict[Point, DesignResult | Skipped]:
        """Add area and longest path to results whose tile has been synthesized, or is now."""
        if not any(OBJECTIVES[name].from_synthesis for name in self.space.objectives):
            return found
        arrays: dict[Point, tuple[TileParameters, str]] = {}
        for point, result in found.items():
            if isinstance(result, DesignResult):
                liberty = model_of(point.values, self.space.folder).provenance["liberty"]["sha256"]
                arrays[point] = array_of(tile_of(point.values)), liberty
        if self.library is not None:
            self._synthesize(set(arrays.values()))
        complete = dict(found)
        for point, array in arrays.items():
            result = found[point]
            known = self.store.read_synthesis(*array)
            if known is not None and isinstance(result, DesignResult):
                complete[point] = replace(
                    result, area_um2=known.area_um2, longest_path_ns=known.longest_path_ns
                )
        return complete

    def _synthesize(self, arrays: set[tuple[TileParameters, str]]) -> None:
        assert self.library is not None
        assert self.liberty is not None
        own = self.library.digest
        if not any(liberty == own for _, liberty in arrays):
            raise ExploreError(
                f"{self.liberty}: the energy of no point is that of this library: give the Liberty "
                "file that the coefficients were fitted to"
            )
        tiles = [
            tile
            for tile, liberty in arrays
            if liberty == own and self.store.read_synthesis(tile, own) is None
        ]
        tiles.sort(key=lambda tile: -tile.rows * tile.columns)  # the longest come first
        place, cache = self.liberty.resolve(), self.store.models.resolve()
        tasks = [
            Task(
                f"{tile.rows}x{tile.columns}",
                away=Away(
                    synthesize_tile,
                    (tile, place, own, cache),
                    functools.partial(self._keep_synthesis, tile),
                ),
            )
            for tile in tiles
        ]
        for done, (name, _) in enumerate(side_by_side(tasks, self.pool), 1):
            self.progress(done, len(tasks), f"synthesis of {name}")

    def _keep_synthesis(self, tile: TileParameters, found: TileSynthesis) -> TileSynthesis:
        assert self.library is not None
        self.store.keep_synthesis(tile, self.library.digest, found)
        return found
