"""Generated sections that follow from the hardware's parameters."""

from collections.abc import Callable, Mapping, Sequence

from adq.signoff.markdown import markdown_table

__all__ = ["HARDWARE_SECTIONS"]


def _verilog_fields() -> list[str]:
    """Bit offsets of the fields of every stream of the default tile, as Verilog."""
    from adq.rtl.axi_stream import PREFIXES, stream_bits, stream_fields
    from adq.rtl.parameters import TileParameters

    tile = TileParameters()
    lines = []
    for stream, prefix in PREFIXES.items():
        rows = [
            [
                f"`{field.name}`" + (f" x {field.count}" if field.count > 1 else ""),
                str(field.offset) + (f" + {field.size} j" if field.count > 1 else ""),
                str(field.size),
                str(field.width),
                "signed" if field.signed else "",
            ]
            for field in stream_fields(tile)
            if field.stream == stream
        ]
        lines += [f"`{prefix}_tdata`, {stream_bits(tile, stream):,} bits:", ""]
        lines += [*markdown_table(("field", "offset", "bits", "of them used", ""), rows), ""]
    return lines[:-1]


def _descriptors() -> list[str]:
    """Fields of every descriptor of the platform."""
    from adq.signoff.platform_sections import FIELD_HEADINGS, descriptor_tables

    lines = []
    for heading, rows in descriptor_tables():
        lines += [heading, ""]
        lines += [*markdown_table(FIELD_HEADINGS, rows), ""] if rows else []
    return lines[:-1]


def _platform_cycles() -> list[str]:
    """Cycles of networks on platforms, by the planner."""
    from adq.signoff.platform_sections import CYCLE_HEADINGS, cycle_rows

    return markdown_table(CYCLE_HEADINGS, cycle_rows())


HARDWARE_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "verilog-fields": _verilog_fields,
    "descriptors": _descriptors,
    "platform-cycles": _platform_cycles,
}
"""Lines of each section, by the name in its marker."""
