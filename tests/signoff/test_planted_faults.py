"""Faults planted in a copy of the repository: the short regression fails, and names the promise."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.testpoint("regressions.can_fail")


FAULTS = {
    # The top column of a 4-bit weight counts positively.
    "a wrong sign in the top column": (
        "rtl/shift_add/fuser.py",
        "self.weight_bits[:2].any()",
        "self.weight_bits[0]",
        "shift_add.fuse",
    ),
    # A vector is overwritten while its last plane waits for the pipeline.
    "a lost beat under back-pressure": (
        "rtl/pim_tile/feeder.py",
        "(self.take & self.last)",
        "self.last",
        "planes.order",
    ),
    "an off-by-one plane count": (
        "rtl/pim_tile/feeder.py",
        "self.activation_bits - 1 - highest",
        "self.activation_bits - highest",
        "planes.skipped",
    ),
}
"""File, its text, the faulty text, and the testpoint that must be named."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_short_regression_finds_it(tmp_path, fault):
    name, right, wrong, testpoint = FAULTS[fault]
    for folder in ("rtl", "golden", "verif", "sw", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        # Links stay links, so that the faulty file is the one that is imported.
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored, symlinks=True)
    file = tmp_path / name
    source = file.read_text()
    assert source.count(right) == 1, f"{name} has not once: {right}"
    file.write_text(source.replace(right, wrong))
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    environment["PYTHONPATH"] = str(tmp_path / "sw")
    vectors = [f"golden/vectors/digits/{network}" for network in ("mixed", "16bit")]
    run = subprocess.run(
        [sys.executable, "-m", "adq", "dev", "regress", *vectors],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    summary = json.loads((tmp_path / "build" / "regression" / "regression.json").read_text())
    failed = [point["name"] for point in summary["testpoints"] if point["outcome"] == "failed"]
    assert testpoint in failed
    assert f"testpoint {testpoint} failed: " in run.stdout
    assert summary["state"] == "ended behind a failure"
