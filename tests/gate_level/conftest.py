"""A small mapped tile, whose model takes a minute to compile: the tests of a run share it."""

import os
from pathlib import Path

import pytest

from adq.golden.files.locks import waiting
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.liberty.library import Library
from tests.places import ROOT

SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Folder of netlists and models, of all workers of xdist."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    (shared / "gates").mkdir(exist_ok=True)
    return shared / "gates"


@pytest.fixture(scope="session")
def tiny() -> Library:
    return Library.read(ROOT / "tests" / "liberty" / "tiny.lib")


@pytest.fixture(scope="session")
def tile(tiny, cache) -> GateLevelTile:
    with waiting(cache / "tile"):
        return GateLevelTile(SMALL, tiny, cache=cache)
