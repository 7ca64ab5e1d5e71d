"""Fits the energy model's coefficients to a tile's gate-level characterization.

``adq characterize`` leaves records: jobs, their features, and what each class of cells and each
window took at gate level. Features stand for the toggles of classes of the RTL's nets. The energy
of a class of cells is taken as a sum of those features whose nets are around its cells, with
coefficients that are not negative, as the counted energy is; control and the clock, which switch in
every cycle, are fitted by window. A record weighs by its whole energy, so that errors are relative
ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adq.energy.coefficients import Coefficients, EnergyError, as_bool, reading
from adq.energy.counted import CountedModel
from adq.energy.fitting.counted_fit import (
    DATA,
    cycles_of,
    fit_counted,
    gate_energies,
    near,
    solve,
)
from adq.energy.terms import CLOCK, IN_TURNS, LOADING, OF_ANY_WEIGHTS, term_of_class, terms_of
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.placed_conditions import PlacedConditions
from adq.verif.operands.features import CLASSES
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass

__all__ = ["Error", "Records", "counted_errors", "errors", "fit", "largest_difference"]

_ALONGSIDE = {True: ("beats",), False: ("plane_cycles", "vectors")}
"""Counts that go with the toggles of classes that no feature counts, of loading and of computing.
"""

_Windows = dict[str, dict[str, dict[str, float]]]
"""By window and block, the fJ of each term."""


@dataclass(frozen=True)
class Error:
    """Error of the model against gate level in a run's window.

    Attributes
    ----------
    run : str
        What ran: weights, precisions and activation density.
    held_out : bool
        Whether the fit has not seen it.
    simulated, predicted : float
        In fJ.
    """

    run: str
    window: str
    held_out: bool
    simulated: float
    predicted: float

    @property
    def relative(self) -> float:
        """Predicted over simulated, less one."""
        return self.predicted / self.simulated - 1


@dataclass(frozen=True)
class Records:
    """A characterization; see ``adq characterize`` for what its file holds."""

    tile: TileParameters
    library: Mapping[str, Any]
    period_ns: float
    netlist_sha256: str
    nets: int
    area_um2: float
    revisions: Mapping[str, str]
    fan_in: Mapping[str, Sequence[str]]
    named: Sequence[str]
    runs: Sequence[Mapping[str, Any]]
    layout: PlacedConditions | None = None
    """How the netlist was placed; None for the wires of the wire load model."""
    latches: bool = False
    """True if weights are held in latches, not in flip-flops."""

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Read a file.

        Raises
        ------
        EnergyError
            If it is none, or of another format.
        """
        with reading(path, "characterizations") as content:
            return cls(
                tile=TileParameters(**content["tile"]),
                library=content["library"],
                period_ns=content["period_ns"],
                netlist_sha256=content["netlist_sha256"],
                nets=content["nets"],
                area_um2=content["area_um2"],
                revisions=content["revisions"],
                fan_in=content["fan_in"],
                named=content["named"],
                runs=content["runs"],
                layout=PlacedConditions.from_json(content.get("layout")),
                latches=as_bool(content, "latches"),
            )


def is_held_out(run: Mapping[str, Any]) -> bool:
    """Return whether a run's operands are a trained network's, or its words of any value."""
    return str(run["weights"]).startswith("real:") or run.get("words") == "any"


def fit(
    records: Records,
    *,
    provenance: Mapping[str, Any],
    held_out: Callable[[Mapping[str, Any]], bool] = is_held_out,
) -> Coefficients:
    """Find coefficients from all runs but those held out.

    Raises
    ------
    EnergyError
        If no run is left.
    """
    runs = [run for run in records.runs if not held_out(run)]
    if not runs:
        raise EnergyError("every run is held out: nothing is left to fit to")
    of_all = _fit_windows(records, runs)
    windows: dict[str, dict[int, dict[str, dict[str, float]]]] = {"compute": {}, "load": {}}
    for weight_bits in sorted({run["weight_bits"] for run in runs}):
        of_bits = _fit_windows(records, [r for r in runs if r["weight_bits"] == weight_bits])
        for window, blocks in windows.items():
            shared = {block: of_all[window].get(block, {}) for block in OF_ANY_WEIGHTS}
            found = of_bits[window] | shared
            blocks[weight_bits] = {block: terms for block, terms in found.items() if terms}
    library = records.library
    return Coefficients(
        library=library["name"],
        conditions=f"{library['voltage']} V, {library['temperature']} C",
        tile=records.tile,
        period_ns=records.period_ns,
        leakage_nw=float(np.mean([run["leakage_nw"] for run in runs])),
        area_um2=records.area_um2,
        counted=fit_counted(runs, records.fan_in, records.named),
        revisions=records.revisions,
        windows=windows,
        layout=records.layout,
        latches=records.latches,
        provenance={
            "liberty": dict(library),
            "netlist_sha256": records.netlist_sha256,
            "runs": len(runs),
            **provenance,
        },
    )


def errors(
    coefficients: Coefficients,
    records: Records,
    held_out: Callable[[Mapping[str, Any]], bool] = is_held_out,
) -> list[Error]:
    """Compare the model with every run of a characterization, window by window."""
    found = []
    for run in records.runs:
        name = _name(run)
        windows = run["windows"]
        compute, load = coefficients.in_turns(
            run["features"],
            run["weight_bits"],
            compute_cycles=windows["compute"]["cycles"],
            load_cycles=windows.get("load", {"cycles": 0})["cycles"],
        )
        for window, predicted in (("compute", compute), ("load", load)):
            if window not in windows:
                continue
            simulated = sum(_energies(windows[window]["blocks"]).values())
            found.append(Error(name, window, held_out(run), simulated, predicted))
    return found


def counted_errors(
    model: CountedModel,
    records: Records,
    held_out: Callable[[Mapping[str, Any]], bool] = is_held_out,
) -> list[Error]:
    """Compare counted energy with every run of a characterization: of computing, and of loading,
    which here is what the blocks take that switch because weights load.
    """
    found = []
    for run in records.runs:
        gate = gate_energies(run)
        load = sum(gate.get(block, 0.0) for block in LOADING)
        energy = model.energy(ClassCounts.from_json(run["counts"]), cycles_of(run))
        pairs = (
            ("compute", sum(gate.values()) - load, energy.compute),
            ("load", load, energy.load),
        )
        found += [Error(_name(run), window, held_out(run), *pair) for window, *pair in pairs]
    return found


def largest_difference(predicted: Sequence[Error], counted: Sequence[Error]) -> float | None:
    """Return the largest share by which the energy of features differs from the counted energy,
    both windows of a run together, among the runs that were held out.
    """
    sums: dict[str, list[float]] = {}
    for place, found in enumerate((predicted, counted)):
        for error in found:
            if error.held_out:
                sums.setdefault(error.run, [0.0, 0.0])[place] += error.predicted
    return max((abs(first / second - 1) for first, second in sums.values()), default=None)


def _name(run: Mapping[str, Any]) -> str:
    return (
        f"{run['weights']}, {run['weight_bits']}x{run['activation_bits']} bits, "
        f"density {run['activation_density']:.2f}"
    )


def _energies(blocks: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the energy in fJ by block, the clock's apart."""
    energies = {
        block: parts["internal_fj"] + parts["switching_fj"] for block, parts in blocks.items()
    }
    clock = energies.get(CLOCK, 0.0) + sum(parts["clock_fj"] for parts in blocks.values())
    return energies | {CLOCK: clock}


def _fit_windows(records: Records, runs: Sequence[Mapping[str, Any]]) -> _Windows:
    """Return the coefficients of each block's terms, while computing and while weights load."""
    found: _Windows = {"compute": {}, "load": {}}
    for block, terms in _fit_classes(records, runs).items():
        found["load" if block in LOADING else "compute"][block] = terms
    for block in IN_TURNS:
        for window, terms in _fit_in_turns(records.tile, runs, block).items():
            found[window][block] = terms
    return found


def _fit_classes(
    records: Records, runs: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Return the coefficients of the blocks whose classes switch with the operands, each class
    apart.
    """
    terms = [terms_of(records.tile, run["features"]) for run in runs]
    weights = np.array([1 / sum(gate_energies(run).values()) for run in runs])
    known = {NetClass.parse(each) for found in CLASSES.values() for each in found}
    lost = known - set(map(NetClass.parse, records.named))
    coefficients: dict[str, dict[str, float]] = {}
    for group in sorted({NetClass.parse(each) for run in runs for each in run["classes"]}):
        if group.block in IN_TURNS:
            continue
        around = set(map(NetClass.parse, records.fan_in.get(str(group), ())))
        own: dict[str, bool] = {}
        for each in near(group, around, known, lost):
            name = term_of_class(str(each))
            assert name is not None  # known classes have one
            own[name] = own.get(name, False) or each.block == group.block
        own |= dict.fromkeys(_ALONGSIDE[group.block in LOADING], False)
        energy = [run["classes"].get(str(group), {}).get(DATA, 0.0) for run in runs]
        columns = [np.array([each[name] for each in terms], float) for name in own]
        found = solve(np.array(energy), columns, list(own.values()), weights)
        into = coefficients.setdefault(group.block, {})
        for name, value in zip(own, found.tolist(), strict=True):
            if value:
                into[name] = into.get(name, 0.0) + value
    return coefficients


def _fit_in_turns(
    tile: TileParameters, runs: Sequence[Mapping[str, Any]], block: str
) -> dict[str, dict[str, float]]:
    """Return the coefficients of a block that switches in every cycle, from both windows of all
    runs.
    """
    names = [(window, name) for window, found in IN_TURNS[block].items() for name in found]
    seen = [(run, window) for run in runs for window in IN_TURNS[block] if window in run["windows"]]
    energies = [_energies(run["windows"][window]["blocks"]) for run, window in seen]
    terms = [
        terms_of(tile, run["features"] | {"cycles": run["windows"][window]["cycles"]})
        for run, window in seen
    ]
    columns = [
        np.array(
            [
                each[name] if name == "cycles" or of_window == window else 0.0
                for each, (_, window) in zip(terms, seen, strict=True)
            ],
            float,
        )
        for of_window, name in names
    ]
    weights = np.array([1 / sum(energy.values()) for energy in energies])
    energy = np.array([each.get(block, 0.0) for each in energies])
    found: dict[str, dict[str, float]] = {window: {} for window in IN_TURNS[block]}
    for (window, name), value in zip(
        names, solve(energy, columns, [True] * len(names), weights), strict=True
    ):
        if value:
            found[window][name] = float(value)
    return found
