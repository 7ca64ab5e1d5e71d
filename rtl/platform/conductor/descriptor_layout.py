"""Layouts of descriptors, from their declarations."""

import dataclasses

from amaranth.lib import data

from adq.rtl.platform.descriptors import DESCRIPTOR_BYTES, Descriptor

__all__ = ["descriptor_layout"]


def descriptor_layout(kind: type[Descriptor]) -> data.FlexibleLayout:
    """Return the layout of a descriptor's 64 bytes: its fields at their places."""
    fields = dataclasses.fields(kind)
    return data.FlexibleLayout(
        8 * DESCRIPTOR_BYTES,
        {each.name: data.Field(each.metadata["bits"], each.metadata["at"]) for each in fields},
    )
