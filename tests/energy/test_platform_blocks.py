"""Coefficients of the platform's blocks, and what a model makes of them."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.coefficients import EnergyError, coefficients_for
from adq.energy.memory.memories import sram_of
from adq.energy.platform.blocks import (
    BLOCKS,
    MEASURED,
    BlockCoefficients,
    PlatformBlocks,
    platform_blocks,
)
from adq.energy.platform.model import platform_energy
from adq.energy.platform.tables import platform_notes
from adq.golden.network import INPUT, ActivationFormat, Conv2d, Network, Requantize
from adq.golden.platform.planning.planner import plan
from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")


def blocks(**fj: dict[str, float]) -> PlatformBlocks:
    """Return blocks that take nothing but what is given."""
    return PlatformBlocks(
        library="nangate45",
        library_sha256="",
        voltage=1.1,
        temperature=25.0,
        period_ns=2.0,
        platform=dataclasses.asdict(MEASURED),
        blocks={
            name: BlockCoefficients(
                fj=dict.fromkeys((*block.terms, "cycles"), 0.0) | fj.get(name, {}),
                leakage_nw=0.0,
                area_um2=0.0,
                longest_path_ns=0.0,
                error=0.0,
                revision="",
            )
            for name, block in BLOCKS.items()
        },
    )


def convolution(kernel: int = 1) -> Network:
    """Return a convolution over 64 channels of 4x4 pixels, with 32 outputs of as many pixels."""
    node = Conv2d(
        name="conv",
        input=INPUT,
        weight=np.ones((32, 64, kernel, kernel), int),
        weight_bits=2,
        bias=np.zeros(32, int),
        stride=(1, 1),
        padding=(kernel // 2, kernel // 2),
        requantize=Requantize(
            multiplier=np.ones(32, int),
            shift=1,
            format=ActivationFormat(bits=2, signed=False, scale=1.0),
        ),
    )
    return Network(
        name="net",
        input_shape=(64, 4, 4),
        input_format=ActivationFormat(bits=2, signed=False, scale=1.0),
        nodes=(node,),
    )


def test_a_layer_by_hand():
    platform = PlatformParameters()
    tile = coefficients_for("nangate45", platform.tile)
    made = plan(convolution(), platform, batch=1)
    given = {"accumulators": {"stores": 11.0, "stored_bits": 3.0, "drained_bits": 5.0}}
    found = platform_energy(made, tile, blocks(**given), name="net")
    (step,) = found.steps
    # Products of 64 ones and 2-bit words need 9 bits, which lie in a memory of 14: 16 vectors of
    # 32 lanes are stored once and read once, for the drain. A bank has 128 words; 8 requantizers
    # read lanes of 2-bit weights, 4 of which lie in a memory of 4 * 14 bits.
    bits = 16 * 32 * 14
    sums = sram_of(1024, 64, ports="1RW")
    logic = bits * (3.0 + 5.0) + 16 * 2 * 11.0  # a store of 64 columns, of 32 that were measured
    expected = logic / 1000 + bits * (sums.read_pj + sums.write_pj) / 64
    assert step.pj["partial sums"] == pytest.approx(expected)
    # 16 pixels of 2 planes are read; images and results are written, 2 planes of 16 pixels each.
    bank = sram_of(8192, 64, ports="1R1W")
    assert step.pj["activations"] == pytest.approx(32 * bank.read_pj + 64 * bank.write_pj)
    # A block of weights is 32 words of 128 bits.
    buffer = sram_of(16384, 128, ports="1RW")
    assert step.pj["weights"] == pytest.approx(32 * (buffer.read_pj + buffer.write_pj))
    assert step.bus_bytes == 512 + 32 * 16
    # 512 sums are compared with thresholds. Their parameters are read eight at a time, four times
    # for each vector, by a memory of 8 requantizers, as the one that was measured.
    given = {
        "stages of the drain": {"compared": 7.0},
        "parameter memory": {"parameter_reads": 9.0},
    }
    only = platform_energy(made, tile, blocks(**given), name="net")
    none = platform_energy(made, tile, blocks(), name="net")
    expected = (512 * 7 + 16 * 4 * 9) / 1000
    assert only.part("requantizers") - none.part("requantizers") == pytest.approx(expected)


def test_drains_of_a_stack_that_have_no_results_take_their_idle_energy():
    platform = PlatformParameters(stack=3, tile_columns=2, plane_banks=16, requantizers=16)
    tile = coefficients_for("nangate45", platform.tile)
    made = plan(convolution(3), platform, batch=1)  # 9 row blocks
    (planned,) = made.steps
    assert planned.cycles.schedule.stacked
    given = {
        "drain without results": {"cycles": 13.0},
        "accumulators": {"cycles": 17.0},
        "stack adder": {"stores": 19.0},
    }
    only = platform_energy(made, tile, blocks(**given), name="net")
    none = platform_energy(made, tile, blocks(), name="net")
    # Two of the six drains have results, four have none. Each has twice the requantizers of the one
    # that was measured.
    idle = 4 * 2 * 13.0 * planned.cycles.cycles / 1000
    assert only.part("requantizers") - none.part("requantizers") == pytest.approx(idle)
    # All six accumulator memories have a clock, of twice the columns. 16 vectors are added up in
    # 3 rounds of 3 row blocks, by one column: its 32 lanes hold all outputs.
    sums = 6 * 2 * 17.0 * planned.cycles.cycles / 1000 + 16 * 3 * 2 * 19.0 / 1000
    assert only.part("partial sums") - none.part("partial sums") == pytest.approx(sums)


def test_blocks_of_other_rtl_are_named():
    assert set(blocks().other_revisions) == set(BLOCKS)


def test_blocks_that_come_with_the_package_are_of_this_rtl():
    assert platform_blocks().other_revisions == []


@pytest.mark.parametrize("library", ["nangate45", "nangate45-latches"])
def test_tiles_of_the_same_cells_go_with_the_blocks(library):
    tile = coefficients_for(library, TileParameters(rows=64, columns=64))
    platform_blocks().require_same_cells(tile)
    said = platform_notes(platform_blocks(), tile)
    assert said.startswith(f"Tiles: {library}")
    assert ("weights in latches" in said) == library.endswith("latches")


@pytest.mark.parametrize("library", ["nangate45-placed", "sky130hd"])
def test_tiles_of_other_cells_or_wires_are_refused(library):
    tile = coefficients_for(library, TileParameters(rows=16, columns=16))
    with pytest.raises(EnergyError, match=f"{library}: the platform's blocks are measured in nan"):
        platform_blocks().require_same_cells(tile)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(format=99), "is of another format version"),
        (lambda content: content["blocks"].pop("walker"), "has no coefficients of walker"),
        (lambda content: content["blocks"]["walker"]["fj"].pop("planes"),
         "has no coefficients of walker"),
        (lambda content: content.pop("voltage"), "holds no coefficients of blocks"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path, change, message):
    content = blocks().to_json()
    change(content)
    path = tmp_path / "blocks.json"
    path.write_text(json.dumps(content))
    with pytest.raises(EnergyError, match=message):
        PlatformBlocks.read(path)


@pytest.mark.parametrize(
    "options", [["--rows", "32"], ["--density", "0.5"], ["--figures"], ["--classes", "100"]]
)
def test_options_of_a_tile_are_refused_on_a_platform(options):
    result = CliRunner().invoke(
        main, ["energy", "--arch", "vgg19", "--platform", "tiles6", *options]
    )
    assert result.exit_code == 2
    assert f"--platform takes no {options[0]}" in result.stderr
