"""Field checks: what is wrong with a descriptor."""

import dataclasses
from typing import cast

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    OPERATIONS,
    Descriptor,
    Layer,
    Load,
    Mode,
    Store,
)
from adq.rtl.platform.grid.share import schedules
from adq.rtl.platform.host.register_table import FIELDS
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.thresholds import THRESHOLD_BITS
from adq.rtl.port_types import Aggregate, Component

__all__ = ["FieldChecks"]

_OPERATION_BITS = 4


class FieldChecks(Component):
    """Holds every field of a descriptor against its range, and against other fields and the
    platform's sizes.

    The first field that is wrong is named: ranges come first, in the order of their places, then
    the conditions of :mod:`adq.golden.platform.checks` in the order in which they stand there. Ends
    of tensors in the plane memory are not among them: addresses there are taken modulo its size.
    What lies in other memories is checked when it is accessed.

    Latency: 2 cycles.

    Members
    -------
    descriptor : 64 bytes, In
    field : Out
        Number of the field that is wrong, as in
        :data:`adq.rtl.platform.host.register_table.FIELDS`, or 0.
    """

    descriptor: Signal
    field: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        super().__init__({"descriptor": In(8 * DESCRIPTOR_BYTES), "field": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operation = self.descriptor[:_OPERATION_BITS]
        found: dict[int, Signal] = {}
        for number, kind in OPERATIONS.items():
            rules = [*_ranges(kind, self.descriptor)]
            if issubclass(kind, Layer):
                rules += self.layer(self.view(kind))
            elif issubclass(kind, Load | Store):
                rules += self.copy(self.view(kind))
            # Each rule is registered; the first one that is broken is found in the next cycle.
            broken: list[tuple[Value, Value]] = []
            for place, (good, name) in enumerate(rules):
                bad = Signal(name=f"{kind.__name__.lower()}_{place}_{name}")
                m.d.sync += bad.eq(~_bit(good))
                broken.append((bad, Const(_number(kind, name), 8)))
            found[number] = Signal(8, name=f"{kind.__name__.lower()}_field")
            some, field = _first(broken)
            m.d.comb += found[number].eq(Mux(some, field, 0))
        registered = Signal.like(operation)
        m.d.sync += registered.eq(operation)
        with m.Switch(registered):
            for number, named in found.items():
                with m.Case(number):
                    m.d.sync += self.field.eq(named)
            with m.Default():
                m.d.sync += self.field.eq(FIELDS.index(("", "operation")))
        return m

    def view(self, kind: type[Descriptor]) -> Aggregate:
        """Return the fields of the descriptor."""
        return cast(Aggregate, descriptor_layout(kind)(self.descriptor))

    def copy(self, d: Aggregate) -> list[tuple[Value, str]]:
        """Return the conditions of ``Load`` and ``Store``, each with the field to blame."""
        words = self.parameters.plane_memory_words
        return [
            (d.slots_log >= d.images_log, "slots_log"),
            (d.address + (d.words << d.slots_log) <= words, "address"),
        ]

    def layer(self, d: Aggregate) -> list[tuple[Value, str]]:
        """Return the conditions of ``Layer``, each with the field to blame."""
        p = self.parameters
        raw, table = d.mode == Mode.RAW, d.mode == Mode.TABLE
        thresholds = d.mode == Mode.THRESHOLDS
        words = d.source_pitch >> exact_log2(p.rows)
        window = d.pool_height * d.pool_width
        widths = [d.weight_bits == bits for bits in p.tile.weight_widths]
        spreads = [
            (d.stacked == stacked) & (d.split == split) for stacked, split, _ in schedules(p)
        ]
        return [
            (_any(widths), "weight_bits"),
            (~d.stacked if p.stack == 1 else Const(1), "stacked"),
            (~d.skip | (d.mode == Mode.REQUANTIZE), "skip"),
            (~table | (d.source_planes <= p.table_planes), "source_planes"),
            (~thresholds | (d.target_planes <= p.threshold_planes), "target_planes"),
            (~thresholds | (d.accumulator_bits < THRESHOLD_BITS), "accumulator_bits"),
            (d.accumulator_bits <= p.accumulator_bits, "accumulator_bits"),
            (d.source_slots_log >= d.images_log, "source_slots_log"),
            (raw | (d.target_slots_log >= d.images_log), "target_slots_log"),
            (~d.skip | (d.skip_slots_log >= d.images_log), "skip_slots_log"),
            (self.pitch(d.source_pitch), "source_pitch"),
            (d.source_words <= Mux(words == 0, 1, words), "source_words"),
            (d.pool_height <= d.height + 2 * d.pool_padding_y, "pool_height"),
            (d.pool_width <= d.width + 2 * d.pool_padding_x, "pool_width"),
            (window <= p.accumulator_vectors, "pool_height"),
            (_any(spreads), "split"),
            (d.target_channel + d.outputs <= d.target_pitch, "target_channel"),
            (~raw | (window == 1), "pool_height"),
            (~raw | (d.pool_padding_y == 0), "pool_padding_y"),
            (~raw | (d.pool_padding_x == 0), "pool_padding_x"),
            (raw | self.pitch(d.target_pitch), "target_pitch"),
            (~d.skip | self.pitch(d.skip_pitch), "skip_pitch"),
            (~d.skip | (d.skip_channel + d.outputs <= d.skip_pitch), "skip_channel"),
        ]

    def pitch(self, pitch: Value) -> Value:
        """Return whether pixels of so many bits share words, or take whole ones."""
        bits = self.parameters.rows
        log = exact_log2(bits)
        whole = pitch[:log] == 0
        power = _any([pitch == 1 << bit for bit in range(log)])
        return whole | power


def _ranges(kind: type[Descriptor], descriptor: Value) -> list[tuple[Value, str]]:
    """Return the conditions on single fields: bits that belong to none, then ranges."""
    reserved = (1 << 8 * DESCRIPTOR_BYTES) - (1 << _OPERATION_BITS)
    ranges: list[tuple[Value, str]] = []
    for field in sorted(dataclasses.fields(kind), key=lambda each: each.metadata["at"]):
        at, bits = field.metadata["at"], field.metadata["bits"]
        reserved &= ~(((1 << bits) - 1) << at)
        value = descriptor[at : at + bits]
        least, most = field.metadata["least"], field.metadata["most"]
        good: Value = Const(1)
        if least > 0:
            good = value >= least
        if most < (1 << bits) - 1:
            good = good & (value <= most)
        if least > 0 or most < (1 << bits) - 1:
            ranges.append((good, field.name))
    places = [place for place in range(8 * DESCRIPTOR_BYTES) if reserved >> place & 1]
    unused = _any([descriptor[place] for place in places])
    return [(~unused, "reserved"), *ranges]


def _number(kind: type[Descriptor], name: str) -> int:
    owner = "" if name == "reserved" else kind.__name__
    return FIELDS.index((owner, name))


def _first(broken: list[tuple[Value, Value]]) -> tuple[Value, Value]:
    """Return whether a rule is broken, and the field of the first one, from a tree of halves: a
    chain of so many rules would be the longest path of the platform.
    """
    if len(broken) == 1:
        return broken[0]
    half = len(broken) // 2
    (bad, field), (other, otherwise) = _first(broken[:half]), _first(broken[half:])
    return bad | other, Mux(bad, field, otherwise)


def _any(conditions: list[Value]) -> Value:
    return Cat(_bit(each) for each in conditions).any()


def _bit(condition: ValueLike) -> Value:
    return Value.cast(condition)[0]
