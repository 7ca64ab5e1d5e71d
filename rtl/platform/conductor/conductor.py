"""Conductor: takes descriptors of layers, and starts them one after another."""

from typing import cast

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.divider import Divider
from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.conductor.layer_settings import (
    COUNT_BITS,
    PART,
    PRODUCT_STEPS,
    WINDOWS,
    LayerSettings,
    scheduled,
)
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.grid.share import Share, work_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.walk_layouts import walk_layout
from adq.rtl.platform.results.drain_settings import PLACE_BITS, drain_layout
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Conductor", "layer_layout"]


def layer_layout() -> data.StructLayout:
    """Return the layout of a layer to run: its descriptor, and the first image of the pass."""
    return data.StructLayout({"descriptor": descriptor_layout(Layer), "image": 32})


class Conductor(Component):
    """Runs layers one after another. What a layer needs beyond its descriptor is computed before it
    starts, by one multiplier and two dividers: the places of tensors, and the steps between them.
    Where units share a layer's pixels, a third divider says how many windows each of them computes.

    The next descriptor is taken when the layer before has ended.

    Latency: ``start`` follows ``parameters.start_latency`` cycles behind the descriptor.

    Members
    -------
    layers : stream of :func:`layer_layout`, In
        Descriptors whose fields are in their ranges and suit the platform.
    start : Out
        A layer begins, with these settings, which stand until it has ended.
    walk : :func:`adq.rtl.platform.planes.walk_layouts.walk_layout`, Out
    drain : :func:`adq.rtl.platform.results.drain_settings.drain_layout`, Out
    work : :func:`adq.rtl.platform.grid.share.work_layout`, Out
        How the layer is spread over units.
    busy : In
        The layer is under way. It rises in the cycle behind ``start``.
    active : Out
        A layer is prepared or under way.
    """

    layers: Stream
    start: Signal
    walk: Aggregate
    drain: Aggregate
    work: Aggregate
    busy: Signal
    active: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "layers": In(stream.Signature(layer_layout())),
                "start": Out(1),
                "walk": Out(walk_layout(p)),
                "drain": Out(drain_layout(p)),
                "work": Out(work_layout()),
                "busy": In(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        layer = cast(Aggregate, Signal(layer_layout(), name="layer"))
        taken = self.layers.valid & self.layers.ready
        with m.If(taken):
            m.d.sync += layer.eq(self.layers.payload)

        # `step` runs from 1; the last one starts the layer.
        preparing = Signal()
        running = Signal()
        step = Signal(range(p.start_latency + 1))
        m.d.comb += [
            self.active.eq(preparing | running),
            self.layers.ready.eq(~self.active),
            self.start.eq(preparing & (step == p.start_latency)),
        ]
        with m.If(taken):
            m.d.sync += [preparing.eq(1), step.eq(1)]
        with m.If(preparing):
            m.d.sync += step.eq(step + 1)
        with m.If(self.start):
            m.d.sync += [preparing.eq(0), running.eq(1)]
        with m.If(running & ~self.busy):
            m.d.sync += running.eq(0)

        d = layer.descriptor

        def divided(name: str, dividend: Value, divisor: Value, *, first: int) -> Signal:
            """Return the quotient of operands that stand from step ``first`` on."""
            divider = Divider(len(dividend), len(divisor))
            m.submodules[name] = divider
            m.d.comb += [
                divider.start.eq(preparing & (step == first)),
                divider.bits.eq(len(dividend)),
                divider.dividend.eq(dividend),
                divider.divisor.eq(divisor),
            ]
            return divider.quotient

        windows: dict[str, Value] = {}
        for axis, side in (("y", "height"), ("x", "width")):
            room = d[side] + 2 * d[f"pool_padding_{axis}"] - d[f"pool_{side}"]
            windows[axis] = divided(
                f"windows_{axis}", room[:COUNT_BITS], d[f"pool_stride_{axis}"], first=1
            )
        settings = LayerSettings(p, layer, windows)
        given = {WINDOWS: COUNT_BITS + 1}
        if p.units > 1:
            first = given[WINDOWS] + PRODUCT_STEPS  # behind the product that it needs
            dividend, divisor = settings.windows_and_parts(m)
            m.d.comb += settings.part.eq(divided("part", dividend, divisor, first=first))
            given[PART] = first + len(dividend)
        m.d.comb += [self.walk.eq(settings.walk(m)), self.drain.eq(settings.drain(m))]
        m.d.comb += self.work.eq(settings.work(m))

        # Operands are registered in one step, their product in the next; in the third it goes where
        # it belongs.
        left = Signal(PLACE_BITS)
        right = Signal(COUNT_BITS)
        product = Signal(PLACE_BITS)
        m.d.sync += product.eq(left * right)
        products = scheduled(settings.products, given)
        assert p.units == 1 or products[given[WINDOWS]].into is settings["pixels"]
        last = max(products) + PRODUCT_STEPS
        assert last + (Share.latency if p.units > 1 else 0) == p.start_latency
        with m.Switch(step):
            for place, each in products.items():
                with m.Case(place):
                    m.d.sync += [left.eq(each.left), right.eq(each.right)]
            with m.Default():
                m.d.sync += [left.eq(0), right.eq(0)]
        for place, each in products.items():
            with m.If(step == place + PRODUCT_STEPS - 1):
                m.d.sync += each.into.eq(each.use(product))
        return m
