"""Environment of a component in a proof: unconstrained inputs, and the stream rules."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assume, ResetSignal, Signal, Value

__all__ = [
    "any_value",
    "any_values",
    "drive_inputs",
    "hold_offers",
    "never_reset",
    "previous",
]


def any_value(m, shape, *, name: str) -> Signal:
    """Return an unknown value that is constant over all cycles."""
    signal = Signal(shape, name=name)
    m.d.comb += Value.cast(signal).eq(AnyConst(Value.cast(signal).shape()))
    return signal


def any_values(m, shape, *, name: str) -> Signal:
    """Return an unknown value that is independent in each cycle."""
    signal = Signal(shape, name=name)
    m.d.comb += Value.cast(signal).eq(AnySeq(Value.cast(signal).shape()))
    return signal


def drive_inputs(m, component, *, leave: tuple[str, ...] = ()) -> None:
    """Drive every input of a component with unknown values, except the members named in
    ``leave``.
    """
    for path, member, port in component.signature.flatten(component):
        if member.flow.name == "In" and path[0] not in leave:
            wire = Value.cast(port)
            m.d.comb += wire.eq(AnySeq(wire.shape()))


def hold_offers(m, stream, check, *, name: str) -> None:
    """Assume or assert the rule for the source of a stream: a beat that is offered stays unchanged
    until it is taken.

    Parameters
    ----------
    check
        ``Assert`` for a stream that the component drives, ``Assume`` for one that drives it.
    """
    payload = Value.cast(stream.payload)
    waiting = previous(m, stream.valid & ~stream.ready, name=f"{name}_waiting")
    offered = previous(m, payload, name=f"{name}_offered")
    with m.If(waiting):
        m.d.comb += [check(stream.valid), check(payload == offered)]


def previous(m, value, *, name: str) -> Signal:
    """Return the value of a signal in the previous cycle; 0 after reset."""
    value = Value.cast(value)
    earlier = Signal(value.shape(), name=name)
    m.d.sync += earlier.eq(value)
    return earlier


def never_reset(m) -> None:
    """Assume that reset stays inactive, for a proof of a bounded time after the first reset."""
    m.d.comb += Assume(~ResetSignal())
