"""The tile behind AXI4-Stream ports, whose fields take whole bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from adq.rtl.interface import (
    Counter,
    activation_layout,
    job_layout,
    result_layout,
    weight_layout,
)
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component
from adq.rtl.tile import Tile

__all__ = ["PREFIXES", "AxiStreamTile", "Field", "stream_bits", "stream_fields"]

PREFIXES = {
    "jobs": "s_axis_jobs",
    "weights": "s_axis_weights",
    "activations": "s_axis_activations",
    "results": "m_axis_results",
}
"""Streams of the tile, and the prefix of the ports of each."""

LAST = "last"
"""Field of a result that is ``tlast``, not part of ``tdata``."""


@dataclass(frozen=True)
class Field:
    """A field of a stream's ``tdata``, or an array of fields of the same kind.

    Attributes
    ----------
    stream, name : of the tile's stream, and of the field in its payload
    offset : lowest bit of the field in ``tdata``, or of element 0
    width : bits that the tile reads or writes
    size : bits from the field's lowest bit to the next field: whole bytes
    count : elements; 1 for a field that is no array
    signed : whether bits above ``width`` repeat the sign, else they are 0
    source : lowest bit of the field in the payload of the tile's own stream

    """

    stream: str
    name: str
    offset: int
    width: int
    size: int
    count: int
    signed: bool
    source: int


def stream_fields(parameters: TileParameters) -> tuple[Field, ...]:
    """Return the fields of all streams, in the order of their offsets within each stream."""
    found: list[Field] = []
    for stream, layout in (
        ("jobs", job_layout(parameters)),
        ("weights", weight_layout(parameters)),
        ("activations", activation_layout(parameters)),
        ("results", result_layout(parameters)),
    ):
        offset = 0
        for name, source, element, count in _members(layout):
            if (stream, name) == ("results", LAST):
                continue
            width = element.width
            size = -(-width // 8) * 8
            found.append(
                Field(stream, name, offset, width, size, count, _is_signed(element), source)
            )
            offset += size * count
    return tuple(found)


def stream_bits(parameters: TileParameters, stream: str) -> int:
    """Return the width of a stream's ``tdata`` in bits."""
    fields = [field for field in stream_fields(parameters) if field.stream == stream]
    return sum(field.size * field.count for field in fields)


def _members(layout: data.Layout) -> Sequence[tuple[str, int, data.Field, int]]:
    """Return name, offset, element and number of elements of each member of a layout."""
    if isinstance(layout, data.ArrayLayout):
        return [("word", 0, layout[0], layout.length)]
    members = []
    for name, field in layout:
        if isinstance(field.shape, data.ArrayLayout):
            members.append((str(name), field.offset, field.shape[0], field.shape.length))
        else:
            members.append((str(name), field.offset, field, 1))
    return members


def _is_signed(field: data.Field) -> bool:
    return bool(getattr(field.shape, "signed", False))


class AxiStreamTile(Component):
    """The tile with AXI4-Stream ports, one clock, and one synchronous reset that is active low.

    Every field of a stream starts at a byte and takes whole bytes, so that software writes and
    reads beats as bytes; see :func:`stream_fields`. A field of a job whose value does not fit the
    tile's own field becomes 0, which the tile refuses with the status of this field; ``signed`` is
    set by any value other than 0.

    Latency: none beyond the tile's own; all logic here is combinational.
    Throughput: that of the tile.

    Members
    -------
    aclk, aresetn : In
    s_axis_{jobs,weights,activations}_{tdata,tvalid} : In
    s_axis_{jobs,weights,activations}_tready : Out
    m_axis_results_{tdata,tvalid,tlast} : Out
        ``tlast`` marks the last result of a job.
    m_axis_results_tready : In
    counter_address : :class:`adq.rtl.interface.Counter`, In
    counter_data : ``counter_bits`` bits, Out
        Value of the addressed counter, in the same cycle (combinational).
    """

    aclk: Signal
    aresetn: Signal
    counter_address: Signal
    counter_data: Signal

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        ports: dict[str, Member] = {"aclk": In(1), "aresetn": In(1)}
        for stream, prefix in PREFIXES.items():
            forward, backward = (Out, In) if stream == "results" else (In, Out)
            ports[f"{prefix}_tdata"] = forward(stream_bits(parameters, stream))
            ports[f"{prefix}_tvalid"] = forward(1)
            ports[f"{prefix}_tready"] = backward(1)
            if stream == "results":
                ports[f"{prefix}_tlast"] = forward(1)
        ports["counter_address"] = In(Counter)
        ports["counter_data"] = Out(parameters.counter_bits)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.core = core = Tile(self.parameters)
        m.d.comb += [
            ClockSignal().eq(self.aclk),
            ResetSignal().eq(~self.aresetn),
            core.counter_address.eq(self.counter_address),
            self.counter_data.eq(core.counter_data),
        ]
        fields = stream_fields(self.parameters)
        for stream, prefix in PREFIXES.items():
            port = getattr(core, stream)
            tdata, tvalid, tready = (
                getattr(self, f"{prefix}_{name}") for name in ("tdata", "tvalid", "tready")
            )
            payload = Value.cast(port.payload)
            own = [field for field in fields if field.stream == stream]
            if stream == "results":
                m.d.comb += [
                    tdata.eq(Cat(_widened(field, payload) for field in own)),
                    tvalid.eq(port.valid),
                    getattr(self, f"{prefix}_tlast").eq(port.payload[LAST]),
                    port.ready.eq(tready),
                ]
            else:
                m.d.comb += [
                    payload.eq(Cat(_narrowed(field, tdata) for field in own)),
                    port.valid.eq(tvalid),
                    tready.eq(port.ready),
                ]
        return m


def _widened(field: Field, payload: Value) -> Value:
    """Return the elements of a field of the payload, each extended to whole bytes."""
    words = [
        payload[low : low + field.width]
        for low in range(field.source, field.source + field.count * field.width, field.width)
    ]
    if field.signed:
        return Cat(Cat(word, word[-1].replicate(field.size - field.width)) for word in words)
    return Cat(Cat(word, Const(0, field.size - field.width)) for word in words)


def _narrowed(field: Field, tdata: Value) -> Value:
    """Return the elements of a field of ``tdata``, cut to the tile's width."""
    words = [
        tdata[low : low + field.size]
        for low in range(field.offset, field.offset + field.count * field.size, field.size)
    ]
    if field.name == "signed":
        return Cat(word.any() for word in words)
    return Cat(
        Mux(word[field.width :].any(), Const(0, field.width), word[: field.width])
        if field.size > field.width
        else word
        for word in words
    )
