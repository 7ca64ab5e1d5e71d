"""What surrounds a component in a proof: inputs that can be anything, and the stream rules."""

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
    """A value that is unknown, and the same in all cycles."""
    signal = Signal(shape, name=name)
    m.d.comb += Value.cast(signal).eq(AnyConst(Value.cast(signal).shape()))
    return signal


def any_values(m, shape, *, name: str) -> Signal:
    """A value that is unknown, and another in each cycle."""
    signal = Signal(shape, name=name)
    m.d.comb += Value.cast(signal).eq(AnySeq(Value.cast(signal).shape()))
    return signal


def drive_inputs(m, component, *, leave: tuple[str, ...] = ()) -> None:
    """Drive every input of a component with any values, but for the members named in ``leave``."""
    for path, member, port in component.signature.flatten(component):
        if member.flow.name == "In" and path[0] not in leave:
            wire = Value.cast(port)
            m.d.comb += wire.eq(AnySeq(wire.shape()))


def hold_offers(m, stream, check, *, name: str) -> None:
    """The rule of a stream's source: a beat once offered stays, and stays the same, until taken.

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
    """What a value was a cycle ago; 0 after reset."""
    value = Value.cast(value)
    earlier = Signal(value.shape(), name=name)
    m.d.sync += earlier.eq(value)
    return earlier


def never_reset(m) -> None:
    """Leave out resets: a proof of what follows the first one, for a bounded time."""
    m.d.comb += Assume(~ResetSignal())
