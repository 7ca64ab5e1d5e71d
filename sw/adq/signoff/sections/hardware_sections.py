"""Generated sections about the hardware: its interface, programs and placement."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adq.signoff.kept import RESULTS, read_kept
from adq.signoff.markdown import markdown_table

__all__ = ["HARDWARE_SECTIONS"]


def _verilog_fields() -> list[str]:
    """Return the bit offsets of the fields of every stream of the default tile, as Verilog."""
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
    """Return the fields of every descriptor of the platform."""
    from adq.signoff.sections.platform_sections import FIELD_HEADINGS, descriptor_tables

    lines = []
    for heading, rows in descriptor_tables():
        lines += [heading, ""]
        lines += [*markdown_table(FIELD_HEADINGS, rows), ""] if rows else []
    return lines[:-1]


def _registers() -> list[str]:
    """Return the platform's registers, and the codes of its errors."""
    from adq.signoff.sections.platform_sections import (
        ERROR_HEADINGS,
        REGISTER_HEADINGS,
        error_rows,
        register_rows,
    )

    return [
        *markdown_table(REGISTER_HEADINGS, register_rows()),
        "",
        *markdown_table(ERROR_HEADINGS, error_rows()),
    ]


def _platform_cycles() -> list[str]:
    """Return the cycles of networks on platforms, by the planner."""
    from adq.signoff.sections.platform_sections import CYCLE_HEADINGS, cycle_rows

    return markdown_table(CYCLE_HEADINGS, cycle_rows())


def _engine_cycles() -> list[str]:
    """Cycles of networks on the engine, by layer."""
    from adq.signoff.sections.platform_sections import ENGINE_HEADINGS, engine_rows

    kept = [
        read_kept(path.relative_to(RESULTS)) for path in sorted((RESULTS / "engine").glob("*.json"))
    ]
    return markdown_table(ENGINE_HEADINGS, engine_rows(kept))


def _engine_tiles() -> list[str]:
    """Cycles of networks on engines of several tiles."""
    from adq.signoff.sections.platform_sections import GRID_HEADINGS, grid_rows

    paths = sorted((RESULTS / "engine-tiles").glob("*.json"))
    return markdown_table(
        GRID_HEADINGS, grid_rows([read_kept(path.relative_to(RESULTS)) for path in paths])
    )


def _platform_runs() -> list[str]:
    """Cycles of networks on the platform with its bus."""
    from adq.signoff.sections.platform_sections import RUN_HEADINGS, run_rows

    return markdown_table(RUN_HEADINGS, run_rows(read_kept("platform-runs.json")))


def _predictions() -> list[str]:
    """Networks on many images, by the platform's RTL."""
    from adq.signoff.sections.platform_sections import PREDICTION_HEADINGS, prediction_rows

    paths = sorted((RESULTS / "predictions").glob("*.json"))
    kept = [read_kept(path.relative_to(RESULTS)) for path in paths]
    return markdown_table(PREDICTION_HEADINGS, prediction_rows(kept))


def _synthesis() -> list[str]:
    """Area and clock of mapped tiles."""
    paths = (RESULTS / "synthesis").glob("*.json")
    kept = [read_kept(path.relative_to(RESULTS)) for path in paths]
    rows = []
    for each in sorted(
        kept, key=lambda k: (k["library"]["name"], k["cells"], k["latches"], k["order_pins"])
    ):
        tile, library = each["tile"], each["library"]
        rows.append(
            [
                f"{tile['rows']}x{tile['columns']}",
                f"{library['name']}, {library['voltage']:.2f} V, {library['temperature']:g} C, "
                f"wire load {library['wire_load']}",
                "latches" if each["latches"] else "flip-flops",
                f"{each['period_ns']:g} ns{', pins ordered' if each['order_pins'] else ''}",
                f"{each['cells']:,}",
                f"{each['area_um2']:,.0f}",
                f"{each['um2_per_bit_cell']:.1f}",
                f"{each['longest_path_ns']:.2f} ns",
                f"{each['clock_mhz']:.0f} MHz",
            ]
        )
    headings = ("tile", "library", "weights in", "sized for", "cells", "um2", "um2 a bit cell")
    return markdown_table([*headings, "longest path", "clock"], rows)


def _platform_area() -> list[str]:
    """Area and clock of platforms, a column each."""
    from adq.signoff.sections.platform_sections import area_table

    paths = (RESULTS / "platform-area").glob("*.json")
    kept = [read_kept(path.relative_to(RESULTS)) for path in paths]
    kept.sort(key=lambda each: each["tiles"])
    library = kept[0]["library"]
    return [
        f"{library['name']}, {library['voltage']:.2f} V, cells sized for "
        f"{kept[0]['period_ns']:g} ns, wire load model, ideal clock. um2.",
        "",
        *markdown_table(*area_table(kept)),
    ]


def _platform_blocks() -> list[str]:
    """Energy, area and longest path of the platform's blocks."""
    from adq.energy.platform.blocks import platform_blocks
    from adq.signoff.sections.platform_sections import BLOCK_HEADINGS, block_rows

    blocks = platform_blocks()
    measured = blocks.measured
    return [
        f"`{blocks.library}`, {blocks.voltage:.2f} V, {blocks.temperature:g} C, sized for "
        f"{blocks.period_ns:g} ns, without delays; {measured.rows}x{measured.columns}, "
        f"{measured.requantizers} requantizers, memories apart.",
        "",
        *markdown_table(BLOCK_HEADINGS, block_rows()),
    ]


def _platform_energy() -> list[str]:
    """Energy of networks on whole platforms."""
    from adq.signoff.sections.platform_sections import ENERGY_HEADINGS, energy_rows

    folder = RESULTS / "platform-energy"
    kept = [read_kept(path.relative_to(RESULTS)) for path in sorted(folder.glob("*.json"))]
    return markdown_table(ENERGY_HEADINGS, energy_rows(kept))


def _platform_ratios() -> list[str]:
    """Say what 16 bits take over mixed precision: the whole platform, and the array alone."""
    lines = []
    for path in sorted((RESULTS / "platform-energy").glob("*.json")):
        kept = read_kept(path.relative_to(RESULTS))
        if len(kept["networks"]) == 1:
            continue
        first, last = (kept["networks"][place]["total_pj"] for place in (0, -1))
        sizes = kept["platform"]
        tiles = sizes["stack"] * sizes["tile_columns"] * sizes["clusters"]
        name = kept["networks"][0]["name"].removeprefix("golden/vectors/")
        lines.append(
            f"- {name}, {tiles} tile{'s' if tiles > 1 else ''} of {sizes['rows']}x"
            f"{sizes['columns']}: {first['all'] / 1e6:.2f} uJ an image; 16 bits take "
            f"**{last['all'] / first['all']:.1f}x**, the array alone "
            f"{last['array'] / first['array']:.1f}x."
        )
    return lines


def _placement() -> list[str]:
    """Return the energy by steps, area and timing of every placed tile that was measured."""
    from adq.energy.gate_level.placed_figures import kept_placed
    from adq.layout.placed_energy_table import conditions, layout_rows, placed_rows, summary

    kept = kept_placed()
    lines = []
    for figures in sorted(
        kept, key=lambda each: (each.library, each.tile.rows * each.tile.columns)
    ):
        bits = [f"{each.weight_bits}x{each.activation_bits}" for each in figures.figures]
        layouts = ("wire load model", "placed, as mapped", "placed, resized")
        lines += [
            f"{conditions(figures)}. fJ a bit product:",
            "",
            *markdown_table(["step", *bits], placed_rows(figures)),
            "",
            *markdown_table(["", *layouts], layout_rows(figures)),
            "",
            summary(figures),
            "",
        ]
    return lines[:-1]


def _headline() -> list[str]:
    """Say what a bit product of the default tile takes once all is counted that is measured."""
    from adq.energy.gate_level.placed_figures import placed_at
    from adq.layout.placed_energy_table import placed_rows
    from adq.rtl.parameters import TileParameters

    figures = placed_at("nangate45", TileParameters(rows=64, columns=64))
    assert figures is not None
    steps = {step: told for step, *told in placed_rows(figures)}
    bits = [f"{each.weight_bits}x{each.activation_bits}" for each in figures.figures]

    def told(step: str) -> str:
        return ", ".join(f"{fj} at {at}" for fj, at in zip(steps[step], bits, strict=True))

    return [
        f"Energy a bit product of a {figures.tile.name} tile as placed in NanGate 45 nm, "
        f"{figures.voltage:.2f} V, {figures.temperature:g} C, half of the words zero, in fJ: with "
        f"wires, clock tree and glitches **{told('+ glitches')}** bits; with partial sums in "
        f"flip-flops, too, **{told('+ partial sums')}**. By the wire load model, without glitches: "
        f"{told('wire load model')}."
    ]


def _placed_tile() -> list[str]:
    """Return the result of `adq place` for the 64x64 tile."""
    placed = read_kept(Path("placed", "nangate45-64x64.json"))
    clock, (width, height) = placed["clock"], placed["die_um"]
    rows = [
        ["die, um", f"{width:.1f} x {height:.1f}"],
        ["cell area, um2", f"{sum(placed['cell_area_um2'].values()):,.0f}"],
        ["mean wire of a net, fF", f"{placed['mean_wire_ff']:.2f}"],
        ["longest path by the wire load model, ns", f"{placed['longest_path_wire_load_ns']:.3f}"],
        ["longest path as placed, ns", f"{placed['longest_path_ns']:.3f}"],
        ["worst hold slack, ns", f"{placed['worst_hold_slack_ns']:+.3f}"],
        ["hold violations", str(placed["hold_violations"])],
        ["clock buffers", str(clock["buffers"])],
        ["insertion delay, ns", f"{clock['insertion_delay_ns']:.3f}"],
        ["skew, ns", f"{clock['skew_ns']:.3f}"],
    ]
    return markdown_table(("64x64, NanGate 45 nm, 1.10 V, 25 C, 2 ns, seed 1", ""), rows)


def _placed_sizes() -> list[str]:
    """Return time, memory and figures of `adq place`, by size."""
    found = [read_kept(path.relative_to(RESULTS)) for path in (RESULTS / "placed").glob("*.json")]

    def period(each: Mapping) -> float:
        return each["options"]["period"]

    measured = sorted(
        (each for each in found if each.get("spent")),
        key=lambda each: (period(each), each["cells"]),
    )
    # The smallest tile of each period.
    first = {period(each): each for each in reversed(measured)}

    def growth(each: Mapping) -> float:
        """Processor time by n log n, as a multiple of the smallest tile's."""
        shares = [
            of["spent"]["processor_s"] / (of["cells"] * math.log(of["cells"]))
            for of in (each, first[period(each)])
        ]
        return shares[0] / shares[1]

    rows = []
    for each in measured:
        bit_cells = each["tile"]["rows"] * each["tile"]["columns"]
        hold = each["worst_hold_slack_ns"]
        rows.append(
            [
                f"{each['tile']['rows']}x{each['tile']['columns']}",
                f"{period(each):g}",
                f"{each['cells']:,}",
                f"{each['spent']['processor_s']:.0f}",
                f"{growth(each):.2f}",
                f"{each['spent']['peak_mb']:,.0f}",
                f"{each['mean_wire_ff']:.2f}",
                f"{each['longest_path_wire_load_ns']:.3f}",
                f"{each['longest_path_ns']:.3f}",
                f"{hold:+.3f} / {each['hold_violations']}",
                f"{each['clock']['skew_ns']:.3f}",
                f"{bit_cells / math.prod(each['die_um']) * 1e6:,.0f}",
            ]
        )
    headings = (
        "tile", "sized for, ns", "cells", "processor time, s", "time / (n log n)",
        "peak memory, MB", "wire of a net, fF", "longest path, wire load, ns", "placed, ns",
        "hold slack, ns / violations", "skew, ns", "bit cells a mm2",
    )  # fmt: skip
    return markdown_table(headings, rows)


HARDWARE_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "verilog-fields": _verilog_fields,
    "descriptors": _descriptors,
    "registers": _registers,
    "platform-cycles": _platform_cycles,
    "engine-cycles": _engine_cycles,
    "engine-tiles": _engine_tiles,
    "platform-runs": _platform_runs,
    "predictions": _predictions,
    "synthesis": _synthesis,
    "platform-area": _platform_area,
    "platform-blocks": _platform_blocks,
    "platform-energy": _platform_energy,
    "platform-ratios": _platform_ratios,
    "placement": _placement,
    "headline": _headline,
    "placed-tile": _placed_tile,
    "placed-sizes": _placed_sizes,
}
"""Lines of each section, by the name in its marker."""
