"""Exploration of platforms: points whose tiles stand in one."""

import json

import pytest

from adq.energy.coefficients import coefficients_for
from adq.energy.platform.blocks import platform_blocks
from adq.energy.platform.sources import artifact_on_platform
from adq.explore.exploration import Explorer
from adq.explore.outcome.store import Store
from adq.explore.space import ExploreError, Space
from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.golden.platform.planning.planner import plan
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.processes import Processes
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

DIGITS = ROOT / "golden" / "vectors" / "digits" / "mixed"
RESULT = ROOT / "results" / "digits.json"


def space_of(folder, **axes) -> Space:
    lines = [f"{name} = {json.dumps(value)}" for name, value in axes.items()]
    path = folder / "space.toml"
    path.write_text("\n".join(["[axes]", *lines]))
    return Space.read(path)


def explored(space, cache):
    with pool_of(workers=1, processes=Processes()) as pool:
        return Explorer(space, Store(cache), pool).explore()


def test_points_are_planned_with_the_energy_of_all_blocks(tmp_path):
    sizes = {"requantizers": 4, "plane_memory_kib": 128}
    found = explored(space_of(tmp_path, network=str(DIGITS), stack=[1, 2], **sizes), tmp_path)
    network = converted(read_artifact(DIGITS)).artifact.network
    assert len(found.results) == 2
    for result in found.results:
        platform = PlatformParameters(stack=result.point["stack"], **sizes)
        tile = coefficients_for("nangate45", platform.tile)
        told = artifact_on_platform(DIGITS, platform, tile, platform_blocks())
        made = plan(network, platform)
        assert result.cycles == made.cycles_per_image
        assert result.energy_pj == pytest.approx(told.total)
        assert result.load_pj == pytest.approx(told.part("loads"))
        assert result.tile["stack"] == platform.stack
        assert result.area_um2 is None
        # By hand: the first layer has 64 pixels of a 3x3 kernel and 16 outputs.
        assert result.layers[0].macs == 64 * 9 * 16
        assert sum(layer.compute_pj for layer in result.layers) == pytest.approx(result.compute_pj)


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        ({"network": "vgg19", "bits": 2, "vectors": 64}, "vectors is of a tile alone"),
        ({"network": "vgg19", "bits": 2, "density": 0.4}, "density is of a tile alone"),
        ({"network": "vgg19", "bits": [[2, 3]]}, "bits is a list"),
        ({"network": "vgg9", "bits": 2}, "its shape is not known for a platform"),
        ({"network": str(RESULT)}, "give its artifact"),
        ({"network": str(DIGITS), "bits": 2}, "has its own"),
        ({"network": str(DIGITS), "library": "sky130hd", "rows": 16, "columns": 16},
         "blocks are measured in nangate45"),
        ({"network": str(DIGITS), "plane_banks": 3}, "plane_banks must be a power of two"),
        ({"network": "vgg19", "bits": 16, "plane_memory_kib": 16}, "would fit"),
    ],
)  # fmt: skip
def test_points_that_cannot_be_built_are_skipped_with_a_reason(axes, reason, tmp_path):
    found = explored(space_of(tmp_path, **{"stack": 1} | axes), tmp_path)
    assert not found.results
    [told] = found.skipped.values()
    assert reason in told


def test_area_is_of_a_tile_alone(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('objectives = ["area_um2"]\n[axes]\nnetwork = "vgg19"\nstack = 1\n')
    with pytest.raises(ExploreError, match="area_um2 is of a tile alone, and stack of a platform"):
        Space.read(path)
