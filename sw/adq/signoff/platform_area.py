"""Rows of the table of a platform's area and clock, from the results of `adq synth --platform`."""

from collections.abc import Iterator
from typing import Any

__all__ = ["AREA_HEADINGS", "area_rows"]

AREA_HEADINGS = ("block", "um2", "share", "flip-flops", "ns, path that ends there")


def area_rows(figures: dict[str, Any]) -> Iterator[list[list[str]]]:
    """Yield the rows of blocks, of tiles and memories, and of all."""
    memories = figures["memories"]
    tiles = figures["tiles"] * figures["tile"]["area_um2"]
    total = figures["logic"]["area_um2"] + tiles
    total += sum(each["area_um2"] for each in memories.values())

    def row(name: str, area: float, flip_flops: str = "", delay: float | None = None) -> list[str]:
        path = "" if delay is None else f"{delay:.3f}"
        return [name, f"{area:,.0f}", f"{area / total:.1%}", flip_flops, path]

    yield [
        row(name, each["area_um2"], f"{each['flip_flops']:,}", each["longest_path_ns"])
        for name, each in figures["blocks"].items()
    ]
    yield [
        row("tiles", tiles, delay=figures["tile"]["longest_path_ns"]),
        *(
            row(f"{name}: memories of {each['bits']:,} bits", each["area_um2"])
            for name, each in memories.items()
        ),
    ]
    yield [row("all", total)]
