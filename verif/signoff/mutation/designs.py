"""Designs that are mutated, and the tests that see them through their ports."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from amaranth.lib import wiring

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.engine import Engine
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.tile import Tile
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.signoff.mutation.block_contracts import conductor_contract, walker_contract
from adq.verif.signoff.mutation.contract import ContractOf, tile_contract
from adq.verif.signoff.regression.run_lists import SMALL_TILE
from adq.verif.signoff.regression.runs import module
from adq.verif.signoff.regression.workbench import PLATFORM_BENCHES, Workbench
from adq.verif.simulation.environment import platform_environment, tile_environment

__all__ = ["DESIGNS", "MutatedDesign", "tile_design"]

ENGINE = PlatformParameters(
    rows=16,
    columns=16,
    stack=2,
    plane_memory_kib=1,
    plane_banks=8,
    accumulator_vectors=10,
    requantizers=2,
)
"""The platform whose engine is mutated: two tiles on top of each other, so that sums meet."""


@dataclass(frozen=True)
class MutatedDesign:
    """A design that is mutated.

    Attributes
    ----------
    component : callable
        Returns the component, whose module has the design's name.
    modules : tuple of str
        Modules of the tests that see it through its ports.
    sizes : TileParameters or PlatformParameters
        Of a block of the platform, those of most of its tests.
    environment : mapping
        Environment variables of the tests: the sizes.
    contract : ContractOf, optional
        Inputs that may come, and outputs that carry a value; all, where there is none.
    """

    name: str
    component: Callable[[], wiring.Component]
    modules: tuple[str, ...]
    sizes: TileParameters | PlatformParameters
    environment: Mapping[str, str]
    contract: ContractOf | None = None

    def described(self) -> dict[str, Any]:
        """Return name and sizes as plain values for JSON."""
        return {"design": self.name, "sizes": asdict(self.sizes)}


def tile_design(tile: TileParameters) -> MutatedDesign:
    """Return a tile, and the tests of the short regression that see it through its ports."""
    return MutatedDesign(
        name="tile",
        component=lambda: Tile(tile),
        modules=("adq.verif.cocotb.tile.test_tile",),
        sizes=tile,
        environment=tile_environment(tile),
        contract=tile_contract(tile),
    )


def engine_design(platform: PlatformParameters) -> MutatedDesign:
    """Return a platform's engine, and the tests that run random layers on it."""
    return MutatedDesign(
        name="engine",
        component=lambda: Engine(platform),
        modules=("adq.verif.cocotb.engine.test_engine",),
        sizes=platform,
        environment=platform_environment(platform),
    )


def block_design(folder: str) -> MutatedDesign:
    """Return a block of the platform in the sizes of its bench, and the tests of that."""
    return MutatedDesign(
        name=folder,
        component=lambda: Workbench(PLATFORM_BENCHES[folder]()),
        modules=(module(folder),),
        sizes=SMALL,
        environment=tile_environment(SMALL_TILE),
        contract=BLOCK_CONTRACTS.get(folder),
    )


BLOCK_CONTRACTS: Mapping[str, ContractOf] = {
    "conductor": conductor_contract,
    "walker": walker_contract,
}
"""Contracts of blocks by the folders of their benches."""

DESIGNS: dict[str, Callable[[], MutatedDesign]] = {
    "tile": lambda: tile_design(SMALL_TILE),
    "engine": lambda: engine_design(ENGINE),
    **{name: functools.partial(block_design, name) for name in PLATFORM_BENCHES},
}
"""Designs by name."""
