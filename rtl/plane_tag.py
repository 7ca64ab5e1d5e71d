"""The tag that goes through the pipeline beside each bit plane."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Signal, Value
from amaranth.lib import data

from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters

__all__ = ["PlaneTag", "follow", "is_one_of"]


class PlaneTag(data.Struct):
    """What the shift-add must know of the plane that a pipeline stage holds."""

    valid: 1
    zero: 1  # no bit set: the array was left as it was
    first: 1  # of its vector
    last: 1  # of its vector
    negative: 1  # sign plane of signed activations
    first_block: 1  # nothing to add from the partial sum buffer
    last_block: 1  # the sum leaves the tile
    last_vector: 1  # of its row block
    bank: 1
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
"""Fields that all planes of a vector share."""


def is_one_of(weight_bits, widths: Iterable[int]) -> Value:
    """Whether the precision of a tag's ``weight_bits`` is one of some."""
    return Cat(weight_bits[TileParameters.weight_widths.index(n)] for n in widths).any()


def follow(m, tag, advance, *, valid=None, name: str) -> PlaneTag:
    """The tag of the next pipeline stage, which moves with ``advance``. Of a tag that is not
    valid only that is copied, so that an idle pipeline does not toggle; and what the planes of a
    vector share is copied with the first of them.
    """
    valid = tag.valid if valid is None else valid
    following = Signal(PlaneTag, name=name)
    with m.If(advance):
        m.d.sync += following.valid.eq(valid)
    for field, _ in data.Layout.cast(PlaneTag):
        if field != "valid":
            moves = advance & valid & (tag.first if field in OF_VECTOR else 1)
            with m.If(moves):
                m.d.sync += getattr(following, field).eq(getattr(tag, field))
    return following
