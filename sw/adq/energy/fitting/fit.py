"""Fits the energy model's coefficients to a tile's gate-level characterization.

``adq characterize`` leaves records: jobs, their features, and what each window took at gate level,
block by block. Each block's energy is taken as a sum of the terms that move it, with coefficients
that are not negative; a record weighs by its share in the window's whole energy, so that errors
are relative ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adq.energy.coefficients import Coefficients, EnergyError, reading
from adq.energy.counted import LOADING, CountedModel
from adq.energy.fitting.counted_fit import cycles_of, fit_counted, gate_energies
from adq.energy.terms import CLOCK, COMPUTE, LOAD, OF_ANY_WEIGHTS, terms_of
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.net_classes import ClassCounts

__all__ = ["Error", "Records", "counted_errors", "errors", "fit"]

_WINDOWS = {"compute": COMPUTE, "load": LOAD}


@dataclass(frozen=True)
class Error:
    """How far the model is from gate level in a run's window.

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
    area_um2: float
    revisions: Mapping[str, str]
    fan_in: Mapping[str, Sequence[str]]
    named: Sequence[str]
    runs: Sequence[Mapping[str, Any]]

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
                area_um2=content["area_um2"],
                revisions=content["revisions"],
                fan_in=content["fan_in"],
                named=content["named"],
                runs=content["runs"],
            )


def is_held_out(run: Mapping[str, Any]) -> bool:
    """Whether a run's operands are a trained network's, or its words of any value."""
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
    windows: dict[str, dict[int, dict[str, dict[str, float]]]] = {"compute": {}, "load": {}}
    of_all = _fit_window(records.tile, runs, "compute", {})
    shared = {block: of_all[block] for block in OF_ANY_WEIGHTS if block in of_all}
    for weight_bits in sorted({run["weight_bits"] for run in runs}):
        of_bits = [run for run in runs if run["weight_bits"] == weight_bits]
        compute = _fit_window(records.tile, of_bits, "compute", {}) | shared
        # What every cycle takes is known from computing; a load that is hidden behind it takes no
        # cycle of its own.
        every_cycle = {block: terms.get("cycles", 0.0) for block, terms in compute.items()}
        windows["compute"][weight_bits] = compute
        windows["load"][weight_bits] = _fit_window(records.tile, of_bits, "load", every_cycle)
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


def _name(run: Mapping[str, Any]) -> str:
    return (
        f"{run['weights']}, {run['weight_bits']}x{run['activation_bits']} bits, "
        f"density {run['activation_density']:.2f}"
    )


def _energies(blocks: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Energy in fJ by block, the clock's apart."""
    energies = {
        block: parts["internal_fj"] + parts["switching_fj"] for block, parts in blocks.items()
    }
    clock = energies.get(CLOCK, 0.0) + sum(parts["clock_fj"] for parts in blocks.values())
    return energies | {CLOCK: clock}


def _fit_window(
    tile: TileParameters,
    runs: Sequence[Mapping[str, Any]],
    window: str,
    every_cycle: Mapping[str, float],
) -> dict[str, dict[str, float]]:
    """Coefficients of each block in a window."""
    from scipy.optimize import nnls

    known = _WINDOWS[window]
    runs = [run for run in runs if window in run["windows"]]
    if not runs:
        return {}
    energies = [_energies(run["windows"][window]["blocks"]) for run in runs]
    cycles = [run["windows"][window]["cycles"] for run in runs]
    terms = [
        terms_of(tile, run["features"] | {"cycles": count})
        for run, count in zip(runs, cycles, strict=True)
    ]
    weights = np.array([1 / sum(of_run.values()) for of_run in energies])
    coefficients = {}
    for block in _in_order(energies):
        names = known.get(block) or tuple(dict.fromkeys(sum(known.values(), ())))
        matrix = np.array([[each[name] for name in names] for each in terms], float)
        target = np.array([of_run.get(block, 0.0) for of_run in energies])
        target = np.maximum(0, target - every_cycle.get(block, 0.0) * np.array(cycles))
        # Columns of one scale, since counts differ by orders of magnitude.
        scale = np.abs(matrix * weights[:, None]).max(axis=0)
        used = scale > 0
        solution = np.zeros(len(names))
        if used.any():
            normal = matrix[:, used] * weights[:, None] / scale[used]
            solution[used] = nnls(normal, target * weights)[0] / scale[used]
        coefficients[block] = {
            name: float(value) for name, value in zip(names, solution, strict=True) if value
        }
    return coefficients


def _in_order(energies: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(block for of_run in energies for block in of_run))
