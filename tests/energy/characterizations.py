"""Characterizations whose coefficients are known, made of jobs' features."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from adq.energy.coefficients import FORMAT
from adq.energy.terms import CLOCK, terms_of
from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import features_of
from adq.verif.operands.jobs import random_job

TILE = TileParameters(rows=16, columns=32, row_blocks=1, partial_sums=0)

TRUE: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "compute": {
        "row lines": {"line_loads": 1.5},
        "AND plane": {"product_toggles": 3.0},
        "column adders": {"adder_toggles": 2.5},
        "fusing": {"fuse_toggles": 4.0, "fused_toggles": 3.0},
        "accumulators": {"accumulator_toggles": 9.0},
        "collector": {"result_toggles": 6.0},
        "feeder": {"vector_toggles": 5.0, "plane_toggles": 2.0},
        "control": {"cycles": 40.0, "plane_cycles": 30.0},
        CLOCK: {"cycles": 100.0, "accumulator_bits": 8.0, "fused_bits": 8.0, "vector_bits": 7.0},
    },
    "load": {
        "storage": {"storage_toggles": 7.0, "beat_loads": 1.0},
        "control": {"beats": 5.0},
        CLOCK: {"storage_bits": 8.0},
    },
}
"""fJ of each term, by window and block."""

LOAD_CYCLES = 40

TOGGLE, CLOCKED = 2**-6, 2**-5
"""fJ of a toggle and of a clocked bit of every class of nets."""


def run_of(tile: TileParameters, jobs, weights: str, density: float, noise: float, rng) -> dict:
    """A run as ``adq characterize`` records it."""
    features = features_of(tile, jobs)
    windows = {}
    for window, known in TRUE.items():
        cycles = features["cycles"] if window == "compute" else LOAD_CYCLES
        terms = terms_of(tile, features | {"cycles": cycles})
        blocks = {}
        every = {CLOCK: 100.0, "control": 40.0} if window == "load" else {}
        for block, of_block in known.items():
            energy = sum(terms[term] * fj for term, fj in of_block.items())
            energy += every.get(block, 0.0) * cycles
            energy *= 1 + noise * rng.standard_normal()
            parts = {"internal_fj": 0.75 * energy, "switching_fj": 0.25 * energy, "clock_fj": 0.0}
            if block == CLOCK:  # which the gate level finds within the blocks
                blocks["storage" if window == "load" else "feeder"]["clock_fj"] = energy
            else:
                blocks[block] = parts
        windows[window] = {"cycles": cycles, "blocks": blocks}
    job = jobs[0]
    classes, counts = _classes(windows)
    return {
        "weight_bits": job.weight_bits,
        "activation_bits": job.activation_bits,
        "signed": job.signed,
        "vectors": job.activations.shape[1],
        "jobs": len(jobs),
        "activation_density": density,
        "weights": weights,
        "activations": "random",
        "used": 1.0,
        "seed": 1,
        "features": features,
        "windows": windows,
        "classes": classes,
        "counts": counts,
        "leakage_nw": 2000.0,
        "macs": 0,
        "bit_products": 0,
    }


def _classes(windows: Mapping) -> tuple[dict, dict]:
    """Energies of a class of nets a block, and counts of which a toggle and a clocked bit take what
    stands above.
    """
    classes: dict[str, dict[str, float]] = {}
    counts: dict[str, dict[str, int]] = {"toggles": {}, "clocked": {}, "enabled": {}}
    for window in windows.values():
        for block, parts in window["blocks"].items():
            of_class = classes.setdefault(f"{block}/net", {"data_fj": 0.0, "clock_fj": 0.0})
            of_class["data_fj"] += parts["internal_fj"] + parts["switching_fj"]
            of_class["clock_fj"] += parts["clock_fj"]
    for name, parts in classes.items():
        counts["toggles"][name] = round(parts["data_fj"] / TOGGLE)
        counts["clocked"][name] = round(parts["clock_fj"] / CLOCKED)
        counts["enabled"][name] = counts["clocked"][name] // 16
        parts["data_fj"] = counts["toggles"][name] * TOGGLE
        parts["clock_fj"] = counts["clocked"][name] * CLOCKED
    return classes, counts


def characterization(path: Path, *, noise: float = 0.0, tile: TileParameters = TILE) -> Path:
    """Write one with random runs at every precision, and a real layer at each weight precision."""
    rng = np.random.default_rng(3)
    runs = []
    for weight_bits in tile.weight_widths:
        shapes = [(bits, density, "random") for bits in (2, 8) for density in (0, 0.25, 0.5, 0.75)]
        for bits, density, weights in [*shapes, (5, 0.6, "real:network:conv2")]:
            vectors, count = rng.integers(8, 32), rng.integers(2, 6)
            jobs = [
                random_job(
                    tile,
                    rng,
                    weight_bits=weight_bits,
                    activation_bits=bits,
                    signed=False,
                    vectors=int(vectors),
                    density=density,
                )
                for _ in range(count)
            ]
            runs.append(run_of(tile, jobs, weights, density, noise, rng))
    content = {
        "format": FORMAT,
        "tile": asdict(tile),
        "library": {
            "name": "test",
            "voltage": 1.1,
            "temperature": 25.0,
            "wire_load": "small",
            "sha256": "0" * 64,
        },
        "netlist_sha256": "1" * 64,
        "period_ns": 2.0,
        "nets": 1000,
        "area_um2": 500.0,
        "revisions": {"feeder": "2" * 64},
        "fan_in": {},
        "named": [],
        "runs": runs,
    }
    path.write_text(json.dumps(content))
    return path
