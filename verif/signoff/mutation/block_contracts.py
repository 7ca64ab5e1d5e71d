"""Contracts of blocks of the platform, in the sizes of their benches."""

import dataclasses
from collections.abc import Iterator

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.conductor.conductor import layer_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.planes.walk_layouts import walk_layout
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.signoff.mutation.contract import Contract, Ports

__all__ = ["conductor_contract", "walker_contract"]


def conductor_contract(m: Module, inputs: Ports, outputs: Ports) -> Contract:
    """Return the conductor's contract.

    Every field of a descriptor is in its range, and no pooling window is larger than what it slides
    over. Settings are read from the start of a layer until it has ended.
    """
    start, busy = outputs["conductor__start"], inputs["conductor__busy"]
    running = Signal(name="layer_is_running")
    with m.If(start | ~busy):
        m.d.sync += running.eq(start)
    layer = data.View(layer_layout(), inputs["conductor__layers__payload"])
    descriptor = layer.descriptor
    in_range = [
        (descriptor[each.name] >= each.metadata["least"])
        & (descriptor[each.name] <= each.metadata["most"])
        for each in dataclasses.fields(Layer)
    ]
    in_range += [descriptor[f"pool_{side}"] <= descriptor[side] for side in ("height", "width")]
    return Contract(
        masks={
            name: _all_if(start | running, outputs[name])
            for name in ("conductor__walk", "conductor__drain", "conductor__work")
        },
        kept=~inputs["conductor__layers__valid"] | Cat(in_range).all(),
    )


def walker_contract(m: Module, inputs: Ports, outputs: Ports) -> Contract:
    """Return the walker's contract.

    Settings stand while a layer is walked; no layer starts meanwhile. They name one weight width,
    and steps of pixels are those of a descriptor whose fields are in their ranges. A plane is
    fetched if it is asked for. What is to be fetched is read while it is asked for, and the tag
    while it is fetched.
    """
    settings, start = inputs["walker__settings"], inputs["walker__start"]
    active, asks, go = outputs["walker__active"], outputs["walker__asks"], inputs["walker__go"]
    before = Signal.like(settings, name="settings_before")
    m.d.sync += before.eq(settings)
    possible = Cat(_possible_steps(data.View(walk_layout(SMALL), settings))).all()
    tags = (name for name in outputs if name.startswith("walker__tag"))
    return Contract(
        masks={
            "walker__fetch": _all_if(asks, outputs["walker__fetch"]),
            "walker__part": _all_if(asks, outputs["walker__part"]),
            **{name: _all_if(go, outputs[name]) for name in tags},
        },
        kept=Mux(active, ~start & (settings == before), ~start | possible) & (asks | ~go),
    )


def _possible_steps(walk: data.View) -> Iterator[Value]:
    """Yield what holds of a walk's weight width and steps of pixels."""
    most = {each.name: each.metadata["most"] for each in dataclasses.fields(Layer)}
    widths = [
        (walk.weight_bits == 1 << place) & (walk.group == SMALL.columns // width)
        for place, width in enumerate(TileParameters.weight_widths)
    ]
    yield Cat(widths).any()
    for axis in "yx":
        stride, pool_padding = most[f"stride_{axis}"], most[f"pool_padding_{axis}"]
        limits = {
            "pixel": stride,
            "window": stride * most[f"pool_stride_{axis}"],
            "kernel": max(most[f"dilation_{axis}"], SMALL.rows),
        }
        for name, limit in limits.items():
            yield (walk[axis][name].pixel >= 0) & (walk[axis][name].pixel <= limit)
        origin = walk[axis].origin.pixel
        yield (origin <= 0) & (origin >= -most[f"padding_{axis}"] - pool_padding * stride)


def _all_if(condition: Value, output: Signal) -> Value:
    return condition.replicate(len(output))
