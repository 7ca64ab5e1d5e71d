"""Cycles, utilization and sizes of plans: by hand, by counting, and beside the figures expected."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli.application import main
from adq.golden.artifact import read_artifact, verify_artifact
from adq.golden.network import INPUT, ActivationFormat, Conv2d, MaxPool2d, Network, Requantize
from adq.golden.platform.planning.cycles import step_cycles
from adq.golden.platform.planning.lowering import lower
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.planning.shapes import resnet18, vgg19
from adq.golden.platform.program import Program
from adq.rtl.parameters import ParameterError
from adq.rtl.platform.parameters import PlatformParameters
from adq.shipped import CONFIGS, shipped_names
from tests.golden_networks import digits_like_network

pytestmark = pytest.mark.testpoint("platform.cycles")

UNSIGNED = functools.partial(ActivationFormat, signed=False, scale=1.0)


def convolution(channels, outputs, sides, *, kernel=3, bits=2, weight_bits=2, pool=None):
    """Return one convolution, padded so that its output is as large as its input."""
    pad = kernel // 2
    nodes = [
        Conv2d(
            name="conv", input=INPUT, weight=np.zeros((outputs, channels, kernel, kernel), int),
            weight_bits=weight_bits, bias=np.zeros(outputs, int), stride=(1, 1),
            padding=(pad, pad),
            requantize=Requantize(multiplier=np.ones(outputs, int), shift=1,
                                  format=UNSIGNED(bits=2)),
        )
    ]  # fmt: skip
    if pool:
        nodes.append(MaxPool2d(name="pool", input="conv", kernel=pool, stride=pool, padding=(0, 0)))
    return Network(name="net", input_shape=(channels, *sides), input_format=UNSIGNED(bits=bits),
                   nodes=tuple(nodes))  # fmt: skip


def only_step(network, platform):
    (step,) = lower(network, platform.rows).steps
    return step


def test_one_tile_by_hand():
    # 128 channels are two words: 18 row blocks. 64 outputs are two blocks of 32. Four images of 64
    # pixels are one chunk of 256 vectors: 512 planes a block.
    platform = PlatformParameters(requantizers=8)
    step = only_step(convolution(128, 64, (8, 8)), platform)
    found = step_cycles(step, platform, 4, stacked=False, split=1)
    assert found.schedule.chunks == (256,)
    assert found.compute == 2 * 18 * 512
    # Behind the last job, 256 vectors are read in 4 cycles each, and the last one's 2 planes are
    # written. 38 cycles before the first plane, and 13 from the last one to the end.
    assert found.fill == 38 + 256 * 4 + 2 + 13
    # Two groups of 18 blocks of 512 bytes fit into no buffer of 16 KiB less than twice: they are
    # fetched once for the only chunk, with 16 bytes an output, over 16 bytes a cycle.
    assert found.bus_bytes == 2 * 18 * 512 + 64 * 16
    assert found.bus == found.bus_bytes // 16
    assert found.useful == 4 * 64 * 64 * 128 * 9 * 2 * 2
    assert found.cycles == found.compute + found.fill


def test_a_cluster_by_hand():
    # Three tiles on top of each other take six rounds; two clusters split the pixels.
    platform = PlatformParameters(stack=3, tile_columns=2, clusters=2, requantizers=16)
    step = only_step(convolution(128, 64, (8, 8)), platform)
    found = step_cycles(step, platform, 4, stacked=True, split=1)
    assert (found.schedule.rounds, found.schedule.groups) == (6, 1)
    assert found.schedule.chunks == (128,)
    assert found.compute == 6 * 256
    assert found.lost["tiles"] == 0
    # Two clusters that split the outputs leave half of the tiles without any.
    halved = step_cycles(step, platform, 4, stacked=True, split=2)
    assert halved.compute == 6 * 512
    assert halved.lost["tiles"] == 6 * 512 * platform.capacity // 2


def test_weights_that_load_longer_than_a_block_computes_are_waited_for():
    platform = PlatformParameters()
    step = only_step(convolution(64, 32, (3, 3)), platform)
    found = step_cycles(step, platform, 1, stacked=False, split=1)
    # Nine vectors of two planes, and 32 beats a block.
    assert found.compute == 9 * 32
    assert found.lost["weights"] == 9 * (32 - 18) * platform.capacity


def test_banks_that_are_loaded_late_are_waited_for_every_other_block():
    # 16 vectors of two planes are as long as a load, which begins 4 cycles behind the last plane of
    # the block before the last: two blocks take 32 + 32 + 4 cycles.
    platform = PlatformParameters()
    assert platform.block_cycles(16, 2) == (32 + 32 + 4) // 2
    assert platform.block_cycles(18, 2) == 36
    assert platform.block_cycles(14, 2) == 32


def test_drains_that_take_longer_than_a_job_are_waited_for():
    platform = PlatformParameters(requantizers=2)
    step = only_step(convolution(64, 32, (32, 32), kernel=1), platform)
    found = step_cycles(step, platform, 1, stacked=False, split=1)
    # Four jobs of 256 vectors: 512 planes, and 256 * 32 results, two a cycle. The last drain is
    # in the fill.
    assert found.compute == 512 + 3 * 4096
    assert found.lost["drains"] == 3 * (4096 - 512) * platform.capacity
    assert found.fill == 38 + 4096 + 2 + 13


def test_weights_beyond_the_buffer_are_fetched_for_every_chunk():
    platform = PlatformParameters(weight_buffer_kib=4)
    step = only_step(convolution(64, 32, (32, 32)), platform)
    found = step_cycles(step, platform, 1, stacked=False, split=1)
    assert len(found.schedule.chunks) == 4
    assert found.bus_bytes == 4 * 9 * 512 + 32 * 16
    platform = dataclasses.replace(platform, weight_buffer_kib=5)
    assert step_cycles(step, platform, 1, stacked=False, split=1).bus_bytes == 9 * 512 + 32 * 16


def test_weights_that_just_fill_the_buffer_are_fetched_once():
    # 128 channels of a kernel of 1 are two row blocks of 512 bytes: 1 KiB.
    platform = PlatformParameters(weight_buffer_kib=1)
    step = only_step(convolution(128, 32, (32, 32), kernel=1), platform)
    found = step_cycles(step, platform, 1, stacked=False, split=1)
    assert (len(found.schedule.chunks), found.schedule.weight_loads) == (4, 1)


@pytest.mark.parametrize("pool", [None, (2, 2), (3, 3)])
@pytest.mark.parametrize("channels", [3, 16, 40, 64, 100, 130])
def test_every_bit_product_of_every_cycle_is_counted_once(channels, pool):
    network = convolution(channels, 50, (9, 9), bits=5, weight_bits=3, pool=pool)
    for sizes in ({}, {"stack": 3, "tile_columns": 2}, {"stack": 2, "clusters": 4}):
        platform = PlatformParameters(accumulator_vectors=70, **sizes)
        for images in (1, 4):
            for each in plan(network, platform, batch=images).steps:
                counted = each.cycles.useful + sum(each.cycles.lost.values())
                assert counted == each.cycles.cycles * platform.capacity
                assert min(each.cycles.lost.values()) >= 0
                pixels = 81 if pool is None else 64 if pool == (2, 2) else 81
                assert each.cycles.useful == images * pixels * 50 * channels * 9 * 5 * 3


EXPECTED = {
    ("vgg19", 2): (518_697, 86_566, 44_839, 24_747),
    ("vgg19", 4): (1_680_029, 280_160, 140_106, 73_145),
    ("vgg19", 16): (24.9e6, 4.15e6, 2.08e6, 1.04e6),
    ("resnet18", 2): (675_263, 113_113, 56_589, 28_369),
}
"""Cycles an image on 1, 6, 12 and 24 tiles that the platform was designed for: arithmetic without
the fill of layers, the drain of their last results, and limits of the plane memory."""

TOLERANCE = {"vgg19": 0.025, "resnet18": 0.095}
"""A layer whose tiles share row blocks may take ``STACKED_COST`` more, for the energy it saves.
A plane of a pixel's outputs takes a cycle to write, however few they are, which holds up layers
of 16-bit weights. ResNet18 has shortcuts of 1x1, which drains bound, an average pooling that runs
on the array, and skip connections that keep tensors of many images in the plane memory; where
units share its many layers, each of them takes longer to begin."""


@functools.cache
def shape(name, bits):
    return {"vgg19": vgg19, "resnet18": resnet18}[name](bits)


@functools.cache
def planned(name, bits, tiles):
    file = CONFIGS / "platform" / f"tile{'s' if tiles > 1 else ''}{tiles}.toml"
    platform = PlatformParameters.from_toml(file)
    assert platform.tiles == tiles
    return plan(shape(name, bits), platform)


@pytest.mark.parametrize(("name", "bits"), EXPECTED)
def test_cycles_beside_the_figures_that_the_platform_was_designed_for(name, bits):
    for tiles, expected in zip((1, 6, 12, 24), EXPECTED[name, bits], strict=True):
        made = planned(name, bits, tiles)
        assert made.cycles_per_image == pytest.approx(expected, rel=TOLERANCE[name])
        assert made.memory_words <= made.platform.plane_memory_words


def test_the_figures_to_reach():
    low, high = planned("vgg19", 2, 12), planned("vgg19", 16, 12)
    assert low.cycles_per_image <= 47_000
    assert low.utilization >= 0.80
    assert high.cycles_per_image <= 2.12e6
    assert planned("vgg19", 2, 1).cycles_per_image >= 11 * low.cycles_per_image


# Parameters


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"rows": 48}, "rows must be a power of two from 16 to 1024, not 48: pixels share words"),
        ({"rows": 8}, "rows must be a power of two from 16 to 1024, not 8"),
        ({"columns": 24}, "columns must be a multiple of 16, not 24"),
        ({"stack": 0}, "stack must be between 1 and 8, not 0"),
        ({"tile_columns": 17}, "tile_columns must be between 1 and 16, not 17"),
        ({"clusters": 65}, "clusters must be between 1 and 64, not 65"),
        ({"plane_memory_kib": 0}, "plane_memory_kib must be between 1 and 65536, not 0"),
        ({"weight_buffer_kib": 1025}, "weight_buffer_kib must be between 1 and 1024, not 1025"),
        ({"accumulator_vectors": 0}, "accumulator_vectors must be between 1 and 4096, not 0"),
        ({"accumulator_bits": 65}, "accumulator_bits must be between 16 and 64, not 65"),
        ({"requantizers": 0}, "requantizers must be between 1 and 512, not 0"),
        ({"bus_bits": 96}, "bus_bits must be one of 32, 64, 128, 256, 512, not 96"),
        ({"stack": True}, "stack must be an integer, not True"),
        ({"stack": 1.0}, "stack must be an integer, not 1.0"),
    ],
)
def test_platforms_that_cannot_be_built(sizes, message):
    with pytest.raises(ParameterError) as error:
        PlatformParameters(**sizes)
    assert str(error.value).startswith(message)


def test_platform_files(tmp_path):
    assert [PlatformParameters.from_toml(CONFIGS / "platform" / f"{name}.toml").tiles
            for name in shipped_names("platform")] == [1, 12, 24, 3, 6]  # fmt: skip
    path = tmp_path / "a.toml"
    path.write_text("[platform]\nstacks = 2\n")
    with pytest.raises(ParameterError) as error:
        PlatformParameters.from_toml(path)
    assert str(error.value) == (f"{path}: unknown key 'platform.stacks'; did you mean 'stack'?")
    path.write_text("[tile]\nrows = 64\n")
    with pytest.raises(ParameterError, match=r"has no \[platform\] table: put rows and columns"):
        PlatformParameters.from_toml(path)


# Commands


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_plan_writes_a_program_that_computes_the_artifact(tmp_path):
    result = invoke("plan", "golden/vectors/digits/mixed", "--platform", "tile1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "0 differ" in result.output
    (written,) = tmp_path.rglob("*.json")
    described = json.loads(written.read_text())
    network = read_artifact("golden/vectors/digits/mixed").network
    platform = PlatformParameters.from_toml(CONFIGS / "platform/tile1.toml")
    assert described["cycles"] == plan(network, platform, batch=4).cycles
    assert [step["node"] for step in described["steps"]] == ["conv1", "conv2", "conv3", "linear"]
    program = Program.read(written.with_suffix(".program"))
    assert (program.platform, program.images) == (platform, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("golden/vectors/resnet8",), "write it anew with adq convert, or export it again"),
        (("golden/vectors/digits/mixed", "--platform", "tile9"), "no platform configuration of"),
        (("nowhere",), "nowhere: no such folder: give the folder of an artifact"),
        (("golden/vectors/digits/mixed", "--images", 70000, "--batch", 1), "are 70000 passes of 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    result = invoke("plan", *arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_convert_gives_16_bits_to_skip_multipliers(tmp_path):
    result = invoke("convert", "golden/vectors/resnet8", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "new/manifest.json").read_text())["version"] == 4
    old, new = read_artifact("golden/vectors/resnet8"), read_artifact(tmp_path / "new")
    assert all(node.agrees for node in verify_artifact(new))
    np.testing.assert_array_equal(old.samples.labels, new.samples.labels)
    for before, after in zip(old.network.nodes, new.network.nodes, strict=True):
        requantize = getattr(before, "requantize", None)
        if requantize is None or requantize.skip is None:
            continue
        assert requantize.has_wide_skip
        assert not after.requantize.has_wide_skip
        exact, rounded = requantize.skip_factors, after.requantize.skip_factors
        for one, other in zip(exact, rounded, strict=True):
            assert abs(one - other) <= abs(one) / 2**15


def test_convert_leaves_narrow_networks_as_they_are(tmp_path):
    result = invoke("convert", "golden/vectors/digits/mixed", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "Rounded" not in result.output
    old, new = read_artifact("golden/vectors/digits/mixed"), read_artifact(tmp_path / "new")
    for name, outputs in old.samples.outputs.items():
        np.testing.assert_array_equal(outputs, new.samples.outputs[name])


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match="a batch of 0 images: it must be at least 1"):
        plan(digits_like_network(2), PlatformParameters(), batch=0)
