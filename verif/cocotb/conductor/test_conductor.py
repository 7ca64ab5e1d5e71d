"""Tests of the conductor against multiplications of whole numbers."""

import dataclasses
from typing import ClassVar

import cocotb
from amaranth.lib.data import Layout

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.conductor.conductor import layer_layout
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.grid.share import work_layout
from adq.rtl.platform.planes.walk_layouts import walk_layout
from adq.rtl.platform.results.drain_settings import drain_layout
from adq.verif.cocotb.bench import Bench, fields
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.cocotb.random_layers import any_mode, random_layer
from adq.verif.cocotb.streams import IDLES
from adq.verif.cocotb.walker.reference import settings_of
from adq.verif.simulation.testpoints import shows


def drain_settings_of(layer: Layer, image: int) -> dict[str, int | dict]:
    """Return the settings of the drain, as the members of ``drain_layout``."""
    bits = SMALL.rows
    height, width = layer.pooled
    raw = layer.mode == Mode.RAW

    def tensor(name: str, width: int, height: int, planes: int, first: int) -> dict[str, int]:
        pitch = getattr(layer, f"{name}_pitch")
        plane = -(-width * pitch // bits)
        slots = 1 << getattr(layer, f"{name}_slots_log")
        words = height * planes * plane
        return {
            "slot": image % slots,
            "slots": slots - 1,
            "origin": first + image % slots * words,
            "slot_zero": first,
            "image": words,
            "plane": plane,
            "channel": getattr(layer, f"{name}_channel"),
            "row": planes * plane,
            "pitch": pitch,
        }

    target = tensor("target", width, height, layer.target_planes, layer.target)
    target["x"] = layer.target * 2 + image * height * width * layer.target_pitch if raw else 0
    skip_row = layer.skip_planes * -(-layer.width * layer.skip_pitch // bits)
    first = layer.skip_address - layer.pool_padding_y * skip_row
    skip = tensor("skip", layer.width, layer.height, layer.skip_planes, first)
    skip |= {
        "x": -layer.pool_padding_x * layer.skip_pitch,
        "window_y": skip_row * layer.pool_stride_y,
        "window_x": layer.skip_pitch * layer.pool_stride_x,
        "planes": layer.skip_planes,
        "signed": layer.skip_signed,
    }
    return {
        "weight_bits": 1 << TileParameters.weight_widths.index(layer.weight_bits),
        "accumulator_bits": layer.accumulator_bits,
        "outputs": layer.outputs,
        "group": SMALL.columns // layer.weight_bits,
        "raw": int(raw),
        "table": int(layer.mode == Mode.TABLE),
        "thresholds": int(layer.mode == Mode.THRESHOLDS),
        "shift": layer.shift,
        "skip_shift": layer.skip_shift,
        "planes": layer.target_planes,
        "signed": layer.target_signed,
        "table_planes": layer.source_planes,
        "table_signed": layer.source_signed,
        "images": layer.images - 1,
        "windows_y": height - 1,
        "windows_x": width - 1,
        "pool_y": layer.pool_height - 1,
        "pool_x": layer.pool_width - 1,
        "window": layer.window,
        "pool_stride_y": layer.pool_stride_y,
        "pool_stride_x": layer.pool_stride_x,
        "first_row": -layer.pool_padding_y,
        "first_column": -layer.pool_padding_x,
        "height": layer.height,
        "width": layer.width,
        "target": target,
        "skips": layer.skip,
        "skip": skip,
    }


class ConductorBench(Bench):
    """Sends descriptors, and compares the settings with which layers start."""

    block = "conductor"
    streams = ("layers",)
    quiet: ClassVar = {"busy": 0}

    def __init__(self, dut, *, idle: str = "never"):
        super().__init__(dut)
        self.source("layers", idle)

    def compare(self, layout, found: int, expected: dict, where: str):
        """Compare every setting, modulo its bits."""
        shapes = dict(Layout.cast(layout))
        assert shapes.keys() == expected.keys(), where
        for name, value in fields(layout, found).items():
            wanted = expected[name]
            if isinstance(wanted, dict):
                self.compare(shapes[name].shape, value, wanted, f"{where}.{name}")
            else:
                assert value == wanted % 2 ** shapes[name].width, f"{where}.{name}"

    async def check(self, layers: list[tuple[Layer, int]]):
        """Send layers with the first images of their passes; each is busy for a while."""
        beats = [
            int.from_bytes(layer.pack(), "little") | image << layer_layout()["image"].offset
            for layer, image in layers
        ]
        self.start_soon(self.sources["layers"].send(beats))
        for layer, image in layers:
            while not self.read("start"):
                await self.cycle(busy=0)
            self.compare(walk_layout(SMALL), self.read("walk"),
                         settings_of(layer, image, SMALL), "walk")  # fmt: skip
            self.compare(drain_layout(SMALL), self.read("drain"),
                         drain_settings_of(layer, image), "drain")  # fmt: skip
            # One tile has the whole layer.
            self.compare(work_layout(), self.read("work"),
                         {"stacked": 0, "split": 1, "windows": 1, "pixels": 0, "part": 1, "raw": 0},
                         "work")  # fmt: skip
            settings = [self.read(name) for name in ("walk", "drain", "work")]
            for _ in range(self.random.randint(1, 9)):
                await self.cycle(busy=1)
                assert [self.read(name) for name in ("walk", "drain", "work")] == settings
                assert not self.read("start")
                assert not self.read("layers__ready")
                assert self.read("active")
            await self.cycle(busy=0)


@shows("platform.conductor")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES))
async def any_layers(dut, idle):
    """Prepare random layers of every mode, in passes of every number."""
    bench = ConductorBench(dut, idle=idle)
    await bench.start()
    layers = [
        (
            random_layer(bench.random, SMALL, **any_mode(bench.random, bench.random.randrange(4))),
            bench.random.getrandbits(bench.random.randint(1, 15)),
        )
        for _ in range(40)
    ]
    await bench.check(layers)


@shows("platform.conductor")
@cocotb.test()
async def any_fields(dut):
    """Prepare layers whose every field is anywhere in its range."""
    bench = ConductorBench(dut)
    await bench.start()
    layers = []
    limited = ("mode", "weight_bits", "stacked", "split")
    for _ in range(150):
        layer = random_layer(bench.random, SMALL)
        drawn = {}
        for field in dataclasses.fields(Layer):
            if field.name not in limited:
                least, most = field.metadata["least"], field.metadata["most"]
                anywhere = bench.random.randint(least, most)
                drawn[field.name] = bench.random.choice((least, most, anywhere, anywhere))
        # A pooling window is no larger than what it slides over.
        for side in ("height", "width"):
            drawn[side] = max(drawn[side], drawn[f"pool_{side}"])
        layers.append((dataclasses.replace(layer, **drawn), bench.random.getrandbits(15)))
    await bench.check(layers)


@shows("platform.conductor")
@cocotb.test()
async def latency(dut):
    """A layer starts as many cycles behind its descriptor as the formula says."""
    bench = ConductorBench(dut)
    await bench.start()
    await bench.check([(random_layer(bench.random, SMALL), 0)])
    layer = random_layer(bench.random, SMALL)
    bench.start_soon(bench.sources["layers"].send([int.from_bytes(layer.pack(), "little")]))
    await bench.cycle(busy=0)
    assert bench.monitors["layers"].taken[1:]
    for _ in range(SMALL.start_latency):
        assert not bench.read("start")
        await bench.cycle()
    assert bench.read("start")


@shows("platform.conductor")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while a layer is prepared: the next one starts with its own settings."""
    bench = ConductorBench(dut)
    await bench.start()
    for cycles in range(1, SMALL.start_latency + 5, 3):
        layer = random_layer(bench.random, SMALL)
        bench.start_soon(bench.sources["layers"].send([int.from_bytes(layer.pack(), "little")]))
        await bench.cycles(cycles)
        await bench.reset()
        await bench.check([(random_layer(bench.random, SMALL), 3)])
