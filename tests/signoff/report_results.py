"""Results as commands leave them, small, and with text in them that must not become markup."""

import json
from pathlib import Path

HOSTILE = "<script>alert('x')</script> & <b>not bold</b>"

RESULTS = {
    "testplan.json": {
        "testpoints": [
            {
                "name": "results.exact",
                "stage": "V1",
                "promise": "Every result is the exact sum of its products.",
                "outcome": "passed",
                "evidence": {"tile.every_precision": "passed", "fuser": "passed"},
            },
            {
                "name": "streams.rules",
                "stage": "V2",
                "promise": HOSTILE,
                "outcome": "failed",
                "evidence": {"tile.malformed_jobs": "failed", "tile.contracts": "not run"},
            },
        ]
    },
    "regression/regression.json": {
        "state": "complete",
        "passed": 41,
        "failed": 1,
        "tests": [
            {
                "name": "tile-4x16 tile.malformed_jobs",
                "test": "tile.malformed_jobs",
                "run": "tile-4x16-seed7",
                "seed": 7,
                "outcome": "failed",
                "message": HOSTILE,
                "replay": "make replay RUN=tile-4x16-seed7",
            },
            *(
                {"name": f"t{n}", "test": f"t{n}", "run": "r", "seed": 1, "outcome": "passed"}
                for n in range(41)
            ),
        ],
    },
    "coverage/coverage.json": {
        "blocks": [
            {
                "instance": "tile.shift_add.collector.result_register_of_a_very_long_name",
                **{k: {"hit": 9, "total": 10, "excluded": 1} for k in ("line", "branch", "toggle")},
            }
        ],
        "functional": [
            {"name": "precisions", "promise": "Each pair", "hit": 63, "total": 64, "missing": ["x"]}
        ],
        "missing": [
            {"instance": "tile", "kind": "toggle", "point": "a[3]", "source": "rtl/a.py:3"}
        ],
        "excluded": [
            {"instance": "t", "kind": "line", "point": "b", "source": "", "reason": HOSTILE}
        ],
    },
    "formal/formal.json": {
        "proofs": [
            {
                "name": "feeder.planes",
                "claim": "Every vector comes out as its planes.",
                "mode": "prove",
                "depth": 3,
                "result": "proved",
                "seconds": 4.2,
            }
        ]
    },
    "mutation/mutation.json": {
        "seed": 1,
        "killed": 2,
        "equal": 1,
        "undecided": 1,
        "score": 2 / 3,
        "seconds": 600.0,
        "mutants": [
            *({"part": "feeder", "fate": fate} for fate in ("killed", "killed", "equal")),
            {
                "part": "shift_add",
                "fate": "undecided",
                "number": 4,
                "mode": "inv",
                "place": "$1.A[0]",
                "sources": ["rtl/shift_add/shift_add.py:71"],
                "detail": HOSTILE,
            },
        ],
    },
    "mutation-python/mutation-python.json": {
        "killed": 90,
        "mutants": 100,
        "score": 0.9,
        "alive": [],
        "modules": [{"module": "adq.golden.requantize", "mutants": 100, "killed": 90}],
    },
    "injection/injection.json": {
        "seed": 1,
        "rates": [
            {
                "kind": "storage",
                "bits": 150,
                "faults": 100,
                "signs": {"hang": 10, "counters": 10},
                "masked": {"count": 50, "share": 0.5, "interval": [0.4, 0.6]},
                "detected": {"count": 20, "share": 0.2, "interval": [0.13, 0.29]},
                "silent": {"count": 30, "share": 0.3, "interval": [0.22, 0.4]},
            }
        ],
    },
    "sim/simulation.json": {
        "energy": {"name": "estimate", "node": "45 nm"},
        "costs": [
            {
                "name": "mixed",
                "layers": [
                    {
                        "name": "conv1",
                        "precision": "16x16",
                        "macs": 9216,
                        "cycles": 4089.0,
                        "compute_pj": 53991.0,
                        "load_pj": 200.0,
                        "fj_per_mac": 5858.4,
                    }
                ],
                "total": {
                    "macs": 9216,
                    "cycles": 4089.0,
                    "compute_pj": 53991.0,
                    "load_pj": 200.0,
                    "fj_per_mac": 5858.4,
                },
            }
        ],
    },
    "bench-rtl.json": {
        "figures": [
            {
                "name": "efficiency",
                "tile": "64x64",
                "value": 0.967,
                "unit": "",
                "at_least": 0.95,
                "at_most": None,
                "met": True,
            }
        ]
    },
}


def write_results(folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Write them below a folder of builds, but for some."""
    for name, document in RESULTS.items():
        if name not in leave_out:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document))
