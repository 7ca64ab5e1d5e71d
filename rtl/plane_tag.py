"""Tag that travels through the pipeline with each bit plane."""

# Annotations of a `data.Struct` are shapes, not types.
# mypy: disable-error-code="valid-type"

from collections.abc import Iterable
from typing import cast

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data

from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters

__all__ = ["PlaneTag", "follow", "is_one_of"]


class PlaneTag(data.Struct):
    """Control information for the shift-add about the plane in a pipeline stage."""

    valid: 1
    zero: 1  # no bit set: the array did not take the plane
    first: 1  # first plane of its vector
    last: 1  # last plane of its vector
    negative: 1  # sign plane of signed activations
    first_block: 1  # first row block: no partial sum to add
    last_block: 1  # last row block: the sum is a result
    last_vector: 1  # last vector of its row block
    bank: 1  # weight bank that computes
    weight_bits: 4  # one-hot of 2, 4, 8, 16
    status: Status


OF_VECTOR = (
    "weight_bits",
    "status",
    "bank",
    "first_block",
    "last_block",
    "last_vector",
)
"""Fields that are equal for all planes of a vector."""


def is_one_of(weight_bits: Value, widths: Iterable[int]) -> Value:
    """Return a bit that is high if the one-hot ``weight_bits`` of a tag is one of ``widths``."""
    return Cat(weight_bits[TileParameters.weight_widths.index(n)] for n in widths).any()


def follow(
    m: Module, tag: PlaneTag, advance: Value, *, valid: Value | None = None, name: str
) -> PlaneTag:
    """Return the registered tag of the next pipeline stage, clocked by ``advance``.

    To avoid toggles, only ``valid`` is copied from an invalid tag, and the fields in ``OF_VECTOR``
    are copied only with the first plane of a vector.

    Latency: one cycle. ``valid`` replaces the tag's own valid bit if given.
    """
    valid = tag.valid if valid is None else valid
    following = cast(PlaneTag, Signal(PlaneTag, name=name))
    with m.If(advance):
        m.d.sync += following.valid.eq(valid)
    for field, _ in data.Layout.cast(PlaneTag):
        if field != "valid":
            moves = advance & valid & (tag.first if field in OF_VECTOR else 1)
            with m.If(moves):
                m.d.sync += following[field].eq(tag[field])
    return following
