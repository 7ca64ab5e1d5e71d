"""The hardware's figures beside their targets, in groups that can be measured alone."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from adq.rtl.parameters import TileParameters
from adq.verif.bench.build_time import measure_build
from adq.verif.bench.efficiency import JOBS, VECTORS, measure_efficiencies, measure_load_edges
from adq.verif.bench.figures import Figure
from adq.verif.bench.idle import measure_idle
from adq.verif.bench.simulation_speed import measure_speed
from adq.verif.simulation.harness import build_harness
from adq.verif.synthesis.synthesis import size_and_speed

__all__ = ["GROUPS", "RtlBench"]

GROUPS = ("build", "efficiency", "loads", "idle", "simulation", "synthesis")
"""Names of what can be measured alone. Models that ``build`` has made serve those after it."""

TARGET_EFFICIENCY = 0.95
TARGET_SPEED_RATIO = 0.8
TARGET_MEGAHERTZ = 500
TARGET_BUILD_SECONDS = {64: 40, 128: 120}
"""By rows of a square tile."""

SYNTHESIZED = (16, 64, 128)
"""Rows of square tiles whose size and speed are measured."""


class RtlBench:
    """Measures figures of square tiles.

    Parameters
    ----------
    directory : for what the measurements leave behind
    cache : for models and netlists, found by their content
    liberty : the cells of ``synthesis``, which is not measured without
    repeats : runs of each simulation whose speed is measured
    seed : of the operands

    Attributes
    ----------
    figures : what was measured, beside its targets
    details : all that the figures were taken from, as JSON holds it, by group
    """

    def __init__(
        self,
        *,
        directory: Path,
        cache: Path,
        liberty: Path | None,
        repeats: int,
        seed: int,
        progress: Callable[[str], None],
    ):
        self.directory = directory
        self.cache = cache
        self.liberty = liberty
        self.repeats = repeats
        self.seed = seed
        self.progress = progress
        self.figures: list[Figure] = []
        self.details: dict[str, list[dict]] = {}
        self.built: dict[TileParameters, Path] = {}  # caches that `build` has filled

    def run(self, groups: Sequence[str]) -> None:
        """Measure groups, in the order of :data:`GROUPS`.

        Raises
        ------
        adq.verif.simulation.simulator.SimulationError
            If a model cannot be built or run.
        """
        for group in GROUPS:
            if group in groups:
                self.details[group] = []
                getattr(self, group)()

    def _add(self, parameters: TileParameters, name: str, value: float | None, **rest) -> None:
        tile = f"{parameters.rows}x{parameters.columns}"
        self.figures.append(Figure(name=name, tile=tile, value=value, **rest))

    def _keep(self, group: str, parameters: TileParameters, detail) -> None:
        self.details[group].append(
            {"rows": parameters.rows, "columns": parameters.columns, **asdict(detail)}
        )

    def _model(self, parameters: TileParameters):
        self.progress(f"building the {parameters.rows}x{parameters.columns} tile")
        return build_harness(parameters, self.built.get(parameters, self.cache))

    def build(self) -> None:
        """Seconds from nothing to a running simulation."""
        for size, most in TARGET_BUILD_SECONDS.items():
            parameters = TileParameters(rows=size, columns=size)
            self.progress(f"building the {size}x{size} tile from nothing")
            cache = self.directory / f"models-{size}x{size}"
            taken = measure_build(parameters, cache=cache, directory=self.directory / "first-run")
            self.built[parameters] = cache
            self._keep("build", parameters, taken)
            self._add(
                parameters,
                "from nothing to a running simulation",
                taken.seconds,
                unit="s",
                at_most=most,
                conditions=f"{taken.cpu_seconds:.0f} s of processors; {taken.cores} cores, "
                f"load {taken.load:.1f}",
            )

    def efficiency(self) -> None:
        """Bit products done / (cycles * rows * columns), for every pair of precisions."""
        parameters = TileParameters()
        model, _ = self._model(parameters)
        rows = list(
            measure_efficiencies(
                model,
                parameters,
                directory=self.directory / "efficiency",
                seed=self.seed,
                progress=self.progress,
            )
        )
        for row in rows:
            self._keep("efficiency", parameters, row)
        conditions = f"{JOBS} jobs of {VECTORS} vectors each, no plane empty"
        for clock, name in (("by_cycles", "measured cycles"), ("by_counters", "its counters")):
            least = min(rows, key=lambda row, clock=clock: getattr(row, clock))
            self._add(
                parameters,
                f"array efficiency by {name}, least of {len(rows)}",
                getattr(least, clock),
                at_least=TARGET_EFFICIENCY,
                conditions=f"{least.weight_bits} x {least.activation_bits} bits; {conditions}",
            )
        self._add(
            parameters,
            "precisions whose cycles are not the formula's",
            sum(row.cycles != row.formula_cycles for row in rows),
            at_most=0,
            conditions=f"of {len(rows)}; sequence_cycles",
        )
        self._add(
            parameters,
            "results that differ from the products",
            sum(row.wrong_results for row in rows),
            at_most=0,
        )

    def loads(self) -> None:
        """Fewest vectors a weight load that keep the array busy."""
        parameters = TileParameters()
        model, _ = self._model(parameters)
        edges = list(
            measure_load_edges(
                model,
                parameters,
                directory=self.directory / "loads",
                seed=self.seed,
                progress=self.progress,
            )
        )
        for edge in edges:
            self._keep("loads", parameters, edge)
        self._add(
            parameters,
            "least vectors a load that are not the formula's",
            sum(edge.measured != edge.formula for edge in edges),
            at_most=0,
            conditions=f"of {len(edges)}; least_vectors",
        )

    def idle(self) -> None:
        """Switching of a tile that has nothing to do."""
        parameters = TileParameters()
        model, design = self._model(parameters)
        self.progress("an idle tile")
        for window in measure_idle(
            model, design, parameters, directory=self.directory / "idle", seed=self.seed
        ):
            self._keep("idle", parameters, window)
            self._add(
                parameters,
                f"toggles of an idle tile, {window.name}",
                window.unexplained_toggles,
                at_most=0,
                conditions=f"{window.cycles:,} cycles, {sum(design.bits.values()):,} nets; "
                "without the counter of idle cycles",
            )
            self._add(
                parameters,
                f"register bits clocked a cycle, {window.name}",
                sum(window.clocked.values()) / window.cycles,
                conditions=f"of {sum(design.registers.values()):,}; 32 count idle cycles",
            )

    def simulation(self) -> None:
        """Cycles a second under cocotb against the same model under a C++ ``main()``."""
        for size in TARGET_BUILD_SECONDS:
            parameters = TileParameters(rows=size, columns=size)
            model, design = self._model(parameters)
            speed = measure_speed(
                model,
                design,
                parameters,
                directory=self.directory / "simulation",
                repeats=self.repeats,
                seed=self.seed,
                progress=self.progress,
            )
            self._keep("simulation", parameters, speed)
            low, high = min(speed.ratios), max(speed.ratios)
            self._add(
                parameters,
                "cycles a second, cocotb / bare C++",
                speed.ratio,
                at_least=TARGET_SPEED_RATIO,
                conditions=f"median of {len(speed.ratios)} pairs, {low:.2f} to {high:.2f}; "
                f"{speed.cpu_ratio:.2f} by processor time",
            )
            for name in ("cocotb", "bare"):
                rates = getattr(speed, name)
                self._add(
                    parameters,
                    f"simulation, {name}",
                    statistics.median(rates) / 1000,
                    unit="kcycles/s",
                    conditions=f"{min(rates) / 1000:.0f} to {max(rates) / 1000:.0f}; {speed.layer}",
                )
            self._add(
                parameters,
                "accumulators that differ from the products",
                speed.wrong_results,
                at_most=0,
            )

    def synthesis(self) -> None:
        """Size and speed in the cells of a library, without a partial sum buffer."""
        smaller = None
        for size in SYNTHESIZED:
            parameters = TileParameters(rows=size, columns=size, row_blocks=1, partial_sums=0)
            least = TARGET_MEGAHERTZ if size == 64 else None
            if self.liberty is None:
                conditions = "no liberty file given"
                self._add(parameters, "area", None, unit="um2", conditions=conditions)
                self._add(
                    parameters, "clock", None, unit="MHz", at_least=least, conditions=conditions
                )
                continue
            self.progress(f"synthesis of the {size}x{size} tile")
            measured = size_and_speed(
                parameters, self.liberty, cache=self.cache.with_name("synthesis")
            )
            self._keep("synthesis", parameters, measured)
            corner = (
                f"{measured.library}, {measured.voltage:.2f} V, {measured.temperature:.0f} C, "
                f"wire load {measured.wire_load or 'none'}"
            )
            self._add(
                parameters,
                "area",
                measured.total_area,
                unit="um2",
                conditions=f"{measured.area_per_bit_cell:.2f} a bit cell; no partial sum buffer",
            )
            if smaller:
                self._add(
                    parameters,
                    "area a bit cell / that of the tile before",
                    measured.area_per_bit_cell / smaller.area_per_bit_cell,
                    at_most=1,
                )
            self._add(
                parameters,
                "clock",
                measured.max_frequency,
                unit="MHz",
                at_least=least,
                conditions=f"{measured.longest_path:.3f} ns, {measured.critical_block}; {corner}",
            )
            smaller = measured
