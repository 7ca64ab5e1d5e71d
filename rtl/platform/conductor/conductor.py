"""Conductor: takes descriptors of layers, and starts them one after another."""

from typing import cast

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.conductor.layer_settings import (
    COUNT_BITS,
    PART,
    WINDOWS,
    LayerSettings,
    scheduled,
)
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.drain_settings import PLACE_BITS, drain_layout
from adq.rtl.platform.grid.share import Share, work_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.walker import walk_layout
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
    walk : :func:`adq.rtl.platform.planes.walker.walk_layout`, Out
    drain : :func:`adq.rtl.platform.drain_settings.drain_layout`, Out
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
        preparing, running = Signal(), Signal()
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
        windows: dict[str, Value] = {
            axis: divided(
                m,
                step,
                (d[side] + 2 * d[f"pool_padding_{axis}"] - d[f"pool_{side}"])[:COUNT_BITS],
                d[f"pool_stride_{axis}"],
                name=f"windows_{axis}",
                first=1,
                bits=COUNT_BITS,
            )
            for axis, side in (("y", "height"), ("x", "width"))
        }
        settings = LayerSettings(p, layer, windows)
        given = {WINDOWS: COUNT_BITS + 1}
        if p.units > 1:
            first = COUNT_BITS + 3  # behind the product that it needs
            dividend, divisor = settings.windows_and_parts(m)
            bits = len(dividend)
            quotient = divided(m, step, dividend, divisor, name="part", first=first, bits=bits)
            m.d.comb += settings.part.eq(quotient)
            given[PART] = first + bits
        m.d.comb += [self.walk.eq(settings.walk(m)), self.drain.eq(settings.drain(m))]
        m.d.comb += self.work.eq(settings.work(m))

        # Operands are registered in one step; their product goes where it belongs in the next.
        left, right = Signal(PLACE_BITS), Signal(COUNT_BITS)
        product = Signal(PLACE_BITS)
        m.d.comb += product.eq(left * right)
        products = scheduled(settings.products, given)
        assert p.units == 1 or products[first - 2].into is settings["pixels"]
        assert max(products) + 2 + (Share.latency if p.units > 1 else 0) == p.start_latency
        with m.Switch(step):
            for place, each in products.items():
                with m.Case(place):
                    m.d.sync += [left.eq(each.left), right.eq(each.right)]
            with m.Default():
                m.d.sync += [left.eq(0), right.eq(0)]
        for place, each in products.items():
            with m.If(step == place + 1):
                m.d.sync += each.into.eq(each.use(product))
        return m


def divided(
    m: Module,
    step: Value,
    dividend: Value,
    divisor: Value,
    *,
    name: str,
    first: int,
    bits: int,
) -> Signal:
    """Return a register with a quotient of ``bits`` bits, which stands behind as many steps.

    Operands stand from step ``first`` on.
    """
    quotient = Signal(bits, name=name)
    rest = Signal(len(divisor), name=f"{name}_rest")
    bit = Signal(name=f"{name}_bit")
    more = Signal(len(divisor) + 1, name=f"{name}_more")
    fits = Signal(name=f"{name}_fits")
    with m.Switch(step):
        for place in range(bits):
            with m.Case(place + first):
                m.d.comb += bit.eq(dividend[bits - 1 - place])
        with m.Default():
            m.d.comb += bit.eq(0)
    m.d.comb += [more.eq((rest << 1) | bit), fits.eq(more >= divisor)]
    with m.If((step < first) | (step >= first + bits)):
        m.d.sync += rest.eq(0)
    with m.Else():
        m.d.sync += quotient.eq((quotient << 1) | fits)
        with m.If(fits):
            m.d.sync += rest.eq(more - divisor)
        with m.Else():
            m.d.sync += rest.eq(more)
    return quotient
