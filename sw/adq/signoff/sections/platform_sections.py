"""Rows of the generated tables of ``docs/platform.md``."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adq.energy.platform.blocks import platform_blocks
from adq.energy.platform.model import PARTS
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.planning.shapes import resnet18, vgg19
from adq.rtl.platform.descriptors import OPERATIONS, Descriptor
from adq.rtl.platform.host.register_table import REGISTERS, ErrorCode
from adq.rtl.platform.parameters import PlatformParameters
from adq.shipped import find_shipped

__all__ = [
    *("AREA_HEADINGS", "area_rows", "area_table"),
    *("BLOCK_HEADINGS", "CYCLE_HEADINGS", "ENERGY_HEADINGS", "ENGINE_HEADINGS", "ERROR_HEADINGS"),
    *("FIELD_HEADINGS", "GRID_HEADINGS", "REGISTER_HEADINGS", "block_rows", "cycle_rows"),
    *("PREDICTION_HEADINGS", "RUN_HEADINGS", "descriptor_tables", "energy_rows", "engine_rows"),
    *("error_rows", "grid_rows", "prediction_rows", "register_rows", "run_rows"),
]

PLATFORMS = ("tile1", "tiles6", "tiles12", "tiles24")
NETWORKS = (("VGG19", vgg19, 2), ("VGG19", vgg19, 4), ("VGG19", vgg19, 16),
            ("ResNet18", resnet18, 2))  # fmt: skip

CYCLE_HEADINGS = ("network, bits of hidden layers", *PLATFORMS)
ENGINE_HEADINGS = (
    *("artifact, images", "layer", "kw x kx", "vectors x outputs"),
    *("cycles", "timeline", "formulas"),
)
REGISTER_HEADINGS = ("address", "bits", "register, field", "access", "meaning")
ERROR_HEADINGS = ("code", "name", "meaning")
GRID_HEADINGS = (
    *("artifact, images", "tiles", "stack x columns x clusters", "banks"),
    *("cycles", "timeline", "formulas", "waits of ports", "times as fast"),
)
AREA_HEADINGS = ("block", "um2", "share", "flip-flops", "ns, path that ends there")
BLOCK_HEADINGS = ("block", "fJ an access", "fJ a cycle", "um2", "ns", "left out")
ENERGY_HEADINGS = (
    *("network", "platform", *PARTS, "all, uJ", "array and loads"),
    *("16 bits: array", "16 bits: whole"),
)
RUN_HEADINGS = ("artifact, images", "run", "program", "copies", "layers", "their timelines")
PREDICTION_HEADINGS = (
    *("artifact", "tiles", "images", "as labelled", "integers that differ", "cycles an image"),
    *("formulas", "planes", "copies", "bus and weights", "results"),
    "s of simulation, processors",
)
FIELD_HEADINGS = ("word", "bits", "field", "range", "meaning")


def descriptor_tables() -> Iterator[tuple[str, list[list[str]]]]:
    """Yield a heading and the rows of its fields for each operation."""
    for number, kind in OPERATIONS.items():
        meaning = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        yield f"`{kind.__name__}`, operation {number}: {meaning}", _fields(kind)


def register_rows() -> list[list[str]]:
    """Return the rows of the platform's registers: a row each, and one for each of its fields."""
    rows = []
    for each in REGISTERS:
        rows.append([f"{each.address:#04x}", "", f"`{each.name}`", each.access, each.meaning])
        for bits in each.bits:
            last = bits.first + bits.count - 1
            place = f"{bits.first}" if bits.count == 1 else f"{last}:{bits.first}"
            rows.append(["", place, f"`{bits.name}`", "", bits.meaning])
    return rows


def error_rows() -> list[list[str]]:
    """Return the rows of the codes of the register ``error``, with what the source says of them."""
    source = ast.parse(textwrap.dedent(inspect.getsource(ErrorCode)))
    body = source.body[0]
    assert isinstance(body, ast.ClassDef)
    texts = [
        " ".join(each.value.value.split())
        for each in body.body[1:]
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    ]
    return [
        [str(int(code)), f"`{code.name}`", text]
        for code, text in zip(ErrorCode, texts, strict=True)
    ]


def _fields(kind: type[Descriptor]) -> list[list[str]]:
    notes = _attribute_docstrings(kind)
    rows = []
    for field in sorted(dataclasses.fields(kind), key=lambda each: each.metadata["at"]):
        place = field.metadata
        word, bit = divmod(place["at"], 32)
        last = bit + place["bits"] - 1
        bits = f"{last}:{bit}" if last > bit else f"{bit}"
        span = f"{place['least']} to {place['most']}"
        rows.append([str(word), bits, f"`{field.name}`", span, notes[field.name]])
    return rows


def _attribute_docstrings(kind: type) -> dict[str, str]:
    """Return the texts under the fields of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    notes = {}
    for before, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(before.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            notes[before.target.id] = " ".join(str(after.value.value).split())
    return notes


def cycle_rows() -> Iterator[list[str]]:
    """Yield cycles an image and utilization of networks on platforms."""
    platforms = [PlatformParameters.from_toml(find_shipped("platform", each)) for each in PLATFORMS]
    for name, network, bits in NETWORKS:
        shape = network(bits)
        row = [f"{name}, {bits}"]
        for platform in platforms:
            made = plan(shape, platform)
            row.append(f"{made.cycles_per_image:,.0f} ({made.utilization:.2f})")
        yield row


def engine_rows(kept: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the layers of networks that ``adq dev engine`` ran."""
    for each in kept:
        title = f"{each['artifact'].removeprefix('golden/vectors/')}, {each['images']}"
        for layer in each["layers"]:
            yield [
                title,
                layer["node"],
                f"{layer['weight_bits']} x {layer['planes']}",
                f"{layer['vectors']:,} x {layer['outputs']}",
                *(f"{layer[name]:,}" for name in ("cycles", "timeline", "planned")),
            ]
            title = ""


def grid_rows(kept: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the sums of networks that ``adq dev engine`` ran on several tiles, and on one."""
    sizes = ("stack", "tile_columns", "clusters")

    def order(each: dict[str, Any]) -> tuple[str, int, int]:
        return each["artifact"], _tiles(each["platform"]), each["platform"]["stack"]

    alone = 0
    for each in sorted(kept, key=order):
        platform = each["platform"]
        found = [platform[name] for name in sizes]
        cycles, timeline, planned, waits = (
            sum(layer[name] for layer in each["layers"])
            for name in ("cycles", "timeline", "planned", "waits")
        )
        if found == [1, 1, 1]:
            alone = cycles
        yield [
            f"{each['artifact'].removeprefix('golden/vectors/')}, {each['images']}",
            f"{_tiles(platform)} of {platform['rows']}x{platform['columns']}",
            " x ".join(map(str, found)),
            str(platform["plane_banks"]),
            *(f"{number:,}" for number in (cycles, timeline, planned, waits)),
            f"{alone / cycles:.2f}",
        ]


def block_rows() -> Iterator[list[str]]:
    """Yield the energy of accesses to the platform's blocks, their area and longest path."""
    for name, block in platform_blocks().blocks.items():
        accesses = (
            f"{term.replace('_', ' ')} {fj:,.1f}"
            for term, fj in block.fj.items()
            if term != "cycles"
        )
        yield [
            name,
            ", ".join(accesses),
            f"{block.fj['cycles']:,.1f}",
            f"{block.area_um2:,.0f}",
            f"{block.longest_path_ns:.2f}",
            f"{block.error:.0%}",
        ]


def energy_rows(kept: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the energy of networks on platforms, in uJ, the share of the array with its loads, and
    the energy of their baseline over it.
    """
    for each in kept:
        networks = each["networks"]
        totals = [network["total_pj"] for network in networks]
        platform = each["platform"]
        tiles = platform["stack"] * platform["tile_columns"] * platform["clusters"]
        baseline = totals[-1] if len(totals) > 1 else None
        for network, total in zip(networks, totals, strict=True):
            ratios = ["", ""]
            if baseline is not None and total is not baseline:
                ratios = [f"{baseline[name] / total[name]:.1f}x" for name in ("array", "all")]
            yield [
                network["name"].removeprefix("golden/vectors/"),
                f"{tiles} of {platform['rows']}x{platform['columns']}",
                *(f"{total[name] / 1e6:,.3f}" for name in (*PARTS, "all")),
                f"{(total['array'] + total['loads']) / total['all']:.1%}",
                *ratios,
            ]


def run_rows(kept: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the cycles of networks that ``adq sim --platform`` ran, from start to interrupt."""
    for each in kept["networks"]:
        causes = each["classes"]
        numbers = (each["cycles"], causes["program"], causes["copies"], each["layer_cycles"])
        yield [
            f"{each['artifact'].removeprefix('golden/vectors/')}, {each['images']}",
            *(f"{number:,}" for number in (*numbers, each["timeline"])),
        ]


def prediction_rows(kept: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield what ``adq predict`` found, by artifact and platform."""

    def order(each: dict[str, Any]) -> tuple[str, int, int]:
        return Path(each["artifact"]).name, _tiles(each["platform"]), each["images"]

    for each in sorted(kept, key=order):
        images, cycles = each["images"], each["cycles"]
        causes = dict(each["cycles_by_cause"])
        causes["loads"] = causes["bus"] + causes["weights"]
        platform = each["platform"]
        spent = "-"
        if ran := each.get("simulation"):  # kept since predictions tell it
            spent = f"{ran['seconds']:,.1f}, {ran['processes'] * ran['threads']}"
        yield [
            each["artifact"].removeprefix("golden/vectors/").removeprefix("build/"),
            f"{_tiles(platform)} of {platform['rows']}x{platform['columns']}",
            f"{images:,}",
            f"{each['accuracy']:.2%}",
            f"{each['differing']:,}",
            f"{cycles / images:,.0f}",
            f"{each['planned_cycles'] / images:,.0f}",
            *(f"{causes[name] / cycles:.1%}" for name in ("planes", "copies", "loads", "results")),
            spent,
        ]


def _tiles(platform: dict[str, int]) -> int:
    """Return the tiles of a platform that stands in a file of results."""
    return platform["stack"] * platform["tile_columns"] * platform["clusters"]


def area_rows(figures: dict[str, Any]) -> Iterator[list[list[str]]]:
    """Yield the rows of blocks, of memories, and of all."""
    memories = figures["memories"]
    total = sum(
        each["area_um2"] for part in ("blocks", "memories") for each in figures[part].values()
    )

    def row(name: str, area: float, flip_flops: str = "", delay: float | None = None) -> list[str]:
        path = "" if delay is None else f"{delay:.3f}"
        return [name, f"{area:,.0f}", f"{area / total:.1%}", flip_flops, path]

    yield [
        row(name, each["area_um2"], f"{each['flip_flops']:,}", each["longest_path_ns"])
        for name, each in figures["blocks"].items()
    ]
    yield [
        row(f"{name}: memories of {each['bits']:,} bits", each["area_um2"])
        for name, each in memories.items()
    ]
    yield [row("all", total)]


def area_table(platforms: list[dict[str, Any]]) -> tuple[list[str], Iterator[list[str]]]:
    """Return headings and rows of a table with a column a platform; areas in um2."""
    sizes = ((each["tiles"], each["platform"]) for each in platforms)
    headings = [
        f"{tiles} of {p['rows']}x{p['columns']}, {p['requantizers']} requantizers"
        for tiles, p in sizes
    ]

    def rows() -> Iterator[list[str]]:
        total = [0.0] * len(platforms)
        for part, of in (("blocks", ""), ("memories", "memories: ")):
            # The order of the largest one, which has all.
            for name in platforms[-1][part]:
                areas = [each[part].get(name, {}).get("area_um2", 0.0) for each in platforms]
                total = [sum(pair) for pair in zip(total, areas, strict=True)]
                yield [of + name, *(f"{area:,.0f}" if area else "" for area in areas)]
        yield ["all", *(f"{area:,.0f}" for area in total)]
        yield ["cells", *(f"{each['cells']:,}" for each in platforms)]
        yield ["longest path, ns", *(f"{each['longest_path_ns']:.3f}" for each in platforms)]
        yield ["clock, MHz", *(f"{each['clock_mhz']:.0f}" for each in platforms)]

    return ["block", *headings], rows()
