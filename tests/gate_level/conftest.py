"""A small mapped tile, whose model takes a minute to compile: the tests of a run share it."""

import contextlib
import os
from pathlib import Path

import pytest

from adq.golden.files.locks import waiting
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.liberty.library import Library
from tests.places import MODELS, ROOT

SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Folder of netlists, of all workers of xdist. Models are with those of other tests, so that
    Verilator's library is compiled once.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    (shared / "gates").mkdir(exist_ok=True)
    MODELS.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (shared / "gates" / "models").symlink_to(MODELS)
    return shared / "gates"


@pytest.fixture(scope="session")
def tiny() -> Library:
    return Library.read(ROOT / "tests" / "liberty" / "tiny.lib")


@pytest.fixture(scope="session")
def tile(tiny, cache) -> GateLevelTile:
    with waiting(cache / "tile"):
        return GateLevelTile(SMALL, tiny, cache=cache)
