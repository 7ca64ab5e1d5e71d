"""Types of components and their ports, for type checkers.

A component declares its ports as class annotations of these types, and their shapes in its
signature. Amaranth ignores annotations that are not signature members. At run time the names stand
for Amaranth's own classes, which take no type parameters.
"""

from typing import TYPE_CHECKING, cast

from amaranth.hdl import Signal, Value
from amaranth.lib import data, stream, wiring

__all__ = ["Aggregate", "Component", "Stream", "Words", "structure"]

Stream = stream.Interface
"""Stream port."""

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Component = wiring.Component[wiring.Signature]
    Aggregate = data.View[Any]

    class Words(data.View[data.ArrayLayout]):
        """Array of words."""

        def __iter__(self) -> Iterator[Value]: ...

else:
    Component = wiring.Component
    """Component with any signature."""

    Aggregate = data.View
    """Structure or array whose members have any type."""

    Words = data.View
    """Array of words."""


def structure(
    layout: data.StructLayout, *, name: str | None = None, reset_less: bool = False
) -> Aggregate:
    """Return a signal of a layout, which type checkers know as such."""
    signal = Signal(layout, name=name, reset_less=reset_less, src_loc_at=1)
    return cast(Aggregate, signal)
