"""Generated sections of README and docs: the lines of each, from data in the repository."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adq.signoff.energy_sections import ENERGY_SECTIONS
from adq.signoff.markdown import markdown_table

__all__ = ["SECTIONS"]

RESULTS = Path("results/measured")
"""Folder of kept measurements, from the project's root."""


def _kept(name: str | Path) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def _kept_table(name: str) -> list[str]:
    """A table that is kept as it was measured."""
    kept = _kept(Path("tables", f"{name}.json"))
    return markdown_table(kept["headings"], kept["rows"])


def _kept_glitches():
    from adq.energy.glitches import FOLDER, GlitchFactors

    kept = [GlitchFactors.read(path) for path in FOLDER.glob("*.json")]
    return sorted(kept, key=lambda each: (each.library, each.rows * each.columns))


def _glitches() -> list[str]:
    """Glitch factors of every tile that was measured."""
    lines = []
    for factors in _kept_glitches():
        bits = [f"{each.weight_bits}x{each.activation_bits}" for each in factors.figures]
        nets = sum(each.confirmed_nets or 0 for each in factors.figures)
        differing = sum(each.differing_nets or 0 for each in factors.figures)
        rows = [
            ["fJ a bit product, without delays"]
            + [f"{sum(e.zero_delay.values()) / e.bit_products:.2f}" for e in factors.figures],
            ["with glitches"]
            + [f"{sum(e.delayed.values()) / e.bit_products:.2f}" for e in factors.figures],
            ["**factor**"] + [f"**{each.factor:.2f}**" for each in factors.figures],
        ]
        rows += [
            [f"factor of {block}"] + [f"{each.block_factor(block):.2f}" for each in factors.figures]
            for block in ("row lines", "column adders", "fusing", "accumulators", "collector")
        ]
        rows.append(
            ["last net at rest after, ns"] + [f"{each.settled_ns:.2f}" for each in factors.figures]
        )
        lines += [
            f"{factors.rows}x{factors.columns}, `{factors.library}`, {factors.voltage:.2f} V, "
            f"{factors.temperature:g} C, {factors.period_ns:g} ns; Icarus Verilog "
            f"{factors.icarus}: toggles of {nets - differing:,} of {nets:,} nets are the same. "
            f"A MAC at 16x16 bits takes {factors.ratio(delayed=False):.1f}x one at 2x2 without "
            f"glitches, **{factors.ratio(delayed=True):.1f}x** with them.",
            "",
            *markdown_table(["", *bits], rows),
            "",
        ]
    return lines[:-1]


def _clock_tree() -> list[str]:
    """The estimate of the clock tree of every tile that was measured."""
    rows = []
    for factors in _kept_glitches():
        tree = factors.clock_tree
        products = factors.rows * factors.columns
        rows.append(
            [
                f"{factors.rows}x{factors.columns}, `{factors.library}`",
                str(tree["sinks"]),
                f"{sum(tree['levels'])} {tree['buffer']}",
                f"{tree['energy']:.0f}",
                f"{tree['energy'] / products:.3f}",
            ]
        )
    headings = ("tile", "clock pins at the root", "buffers", "fJ a cycle", "fJ a bit product")
    return markdown_table(headings, rows)


def _equivalence() -> list[str]:
    """Netlists that were compared with their RTL."""
    kept = [_kept(path.relative_to(RESULTS)) for path in (RESULTS / "equivalence").glob("*.json")]
    rows = []
    for found in sorted(kept, key=lambda each: each["ands"]):
        counts = {verdict: sum(each.values()) for verdict, each in found["comparisons"].items()}
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
        size = f"{found['tile']}, {found['library']}"
        rows.append([size, told, f"{found['ands']:,}", f"{found['cpu_seconds']:.0f}"])
    headings = ("tile", "next states and outputs", "gates of the miter", "s of processor time")
    return markdown_table(headings, rows)


def _left_out() -> list[str]:
    """How much the headline's figures leave out."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.network_comparison import Comparison
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    found = Comparison.from_json(_kept("partial-sums.json"))
    uniform = found.networks[-1]
    ratios = found.ratios(uniform)
    rows = [
        [
            "as told",
            f"{factors.ratio(delayed=False):.1f}x",
            f"{ratios['array']:.1f}x",
        ],
        [
            "with glitches ("
            + ", ".join(
                f"x{e.factor:.2f} at {e.weight_bits}x{e.weight_bits}" for e in factors.figures
            )
            + ")",
            f"{factors.ratio(delayed=True):.1f}x",
            f"{ratios['array_delayed']:.1f}x",
        ],
        _placed_ratio(),
        ["with glitches and partial sums in SRAM", "", f"{ratios['sram']:.1f}x"],
        [
            "with glitches and partial sums in flip-flops, as built",
            "",
            f"{ratios['flip_flops']:.1f}x",
        ],
    ]
    headings = (
        "64x64, NanGate 45 nm",
        "a MAC, 16x16 / 2x2 bits",
        f"{found.architecture}, 16 bits / {found.networks[0].name}",
    )
    return markdown_table(headings, rows)


def _placed_ratio() -> list[str]:
    """The row of the placed tile: a MAC at 16x16 bits over one at 2x2, fJ a bit product."""
    from adq.layout.placed_energy import PlacedFigures

    placed = PlacedFigures.read(RESULTS / "placement" / "nangate45-64x64.json")
    energy = {each.weight_bits: each.steps["+ glitches"] for each in placed.figures}
    narrow, wide = energy[2], energy[16]
    assert narrow is not None
    assert wide is not None
    told = ", ".join(f"{value:.1f} at {bits}x{bits}" for bits, value in energy.items())
    return [
        f"placed: with wires, clock tree and glitches (fJ a bit product: {told})",
        f"{wide * 16**2 / (narrow * 2**2):.1f}x",
        "",
    ]


def _silicon() -> list[str]:
    """Published chips, by node, and the tile at several voltages."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.silicon import silicon, tile_points
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    own = tile_points(factors)
    rows = []
    for tile in own:
        name = "**this tile**" + (", scaled as V^2" if tile.scaled else "")
        for bits, energy in tile.fj_per_mac.items():
            rows.append(
                [
                    name,
                    "45 nm",
                    f"{tile.voltage:g} V",
                    "simulated, gate level, with glitches",
                    "50 % zeros",
                    *_efficiency(bits, energy),
                    "-",
                ]
            )
    for point in silicon():
        for bits, energy in point.fj_per_mac.items():
            scaled = point.scaled(bits, node_nm=45, voltage=1.1)
            rows.append(
                [
                    f"{point.name} ({point.reference})",
                    f"{point.node_nm} nm",
                    "not known" if point.voltage is None else f"{point.voltage:g} V",
                    point.kind,
                    point.operands,
                    *_efficiency(bits, energy),
                    "-" if scaled is None else f"{scaled / bits**2:.2f}",
                ]
            )
    headings = (
        *("macro", "node", "voltage", "figure", "operands", "bits", "fJ/MAC", "fJ a bit product"),
        *("TOPS/W", "fJ a bit product, scaled to 45 nm and 1.1 V"),
    )
    return markdown_table(headings, rows)


def _efficiency(bits: int, energy: float) -> list[str]:
    return [
        f"{bits}x{bits}",
        f"{energy:,.1f}",
        f"{energy / bits**2:.2f}",
        f"{2000 / energy:,.1f}",
    ]


def _losses() -> list[str]:
    """Where others take less, in words."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.silicon import silicon, tile_points
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    nominal, *scaled = tile_points(factors)
    lines = []
    for point in silicon():
        if point.name != "Colonnade":
            continue
        less = [
            f"{bits}x{bits} ({energy:,.1f} fJ for {nominal.fj_per_mac[bits]:,.1f})"
            for bits, energy in point.fj_per_mac.items()
            if bits in nominal.fj_per_mac and energy < nominal.fj_per_mac[bits]
        ]
        same = next((each for each in scaled if each.voltage == point.voltage), None)
        text = f"- Colonnade at {point.voltage:g} V takes less a MAC than this tile at 1.1 V at "
        text += f"{', '.join(less)}." if less else "no precision."
        if same is not None:
            ratios = ", ".join(
                f"{same.fj_per_mac[bits] / energy:.2f} at {bits}x{bits}"
                for bits, energy in point.fj_per_mac.items()
                if bits in same.fj_per_mac
            )
            text += (
                f" The tile scaled to {point.voltage:g} V as V^2 would take {ratios} times what "
                "Colonnade takes there."
            )
        lines.append(text)
    better = [
        f"{point.name} ({point.reference}, {point.node_nm} nm)"
        for point in silicon()
        if (
            scaled_energy := [
                point.scaled(bits, node_nm=45, voltage=1.1) for bits in point.fj_per_mac
            ]
        )[0]
        is not None
        and all(
            each < nominal.fj_per_mac.get(bits, 0)
            for bits, each in zip(point.fj_per_mac, scaled_energy, strict=True)
        )
    ]
    lines.append(
        "- Scaled to 45 nm and 1.1 V (capacitance as the feature size, V^2) these take less: "
        f"{'; '.join(better)}."
    )
    return lines


def _placement() -> list[str]:
    """Energy by steps, area and timing of every placed tile that was measured."""
    from adq.layout.placed_energy import PlacedFigures
    from adq.layout.placed_energy_table import conditions, layout_rows, placed_rows, summary

    kept = [PlacedFigures.read(path) for path in (RESULTS / "placement").glob("*.json")]
    lines = []
    for figures in sorted(kept, key=lambda each: (each.library, each.rows * each.columns)):
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


def _partial_sums() -> list[str]:
    """The partial sum buffer in flip-flops and in SRAM."""
    from adq.energy.memory.partial_sums import entry_bits, flip_flop_buffer, sram_pj
    from adq.rtl.parameters import TileParameters

    tile = TileParameters(rows=64, columns=64)
    buffer, bits = flip_flop_buffer(), entry_bits(tile)
    memory, entry = sram_pj(tile)
    capacity = bits * tile.partial_sums
    rows = []
    for width in buffer.zero_delay_fj:
        for what, delayed in (("without glitches", False), ("with glitches", True)):
            each = buffer.pj(bits, width, delayed=delayed)
            rows.append(
                [
                    f"flip-flops, {width}x{width} bits, {what}",
                    f"{each:,.1f}",
                    f"{each / bits * 32:.2f}",
                    f"{buffer.um2_per_bit * capacity:,.0f}",
                ]
            )
    area = f"{memory.um2_per_bit * capacity:,.0f}"
    rows.append(["SRAM, CACTI 7", f"{entry:,.1f}", f"{entry / bits * 32:.2f}", area])
    lines = [
        f"64x64, {tile.partial_sums} entries of {bits:,} bits. Flip-flops: `{buffer.library}`, "
        f"{buffer.voltage:.2f} V, {buffer.temperature:g} C, measured on a "
        f"{buffer.rows}x{buffer.columns} tile with {buffer.entries} entries of {buffer.bits} bits, "
        "and scaled by bits; SRAM: "
        f"{memory.words} words of {memory.width} bits, {memory.ports}, 45 nm itrs-hp.",
        "",
    ]
    headings = ("", "pJ to read and write an entry", "of 32 bits", "um2")
    return lines + markdown_table(headings, rows)


def _networks() -> list[str]:
    """Networks with and without partial sums."""
    from adq.energy.network_comparison import COLUMNS, Comparison

    found = Comparison.from_json(_kept("partial-sums.json"))
    rows = []
    for network in found.networks:
        ratios = found.ratios(network)
        rows.append(
            [
                network.name,
                *(f"{getattr(network, name):,.1f} ({ratios[name]:.1f}x)" for name in COLUMNS),
            ]
        )
    return markdown_table([f"{found.architecture}, uJ an image", *COLUMNS.values()], rows)


def _cross_check() -> list[str]:
    """OpenSTA beside this project's timing and power."""
    from adq.energy.cross_check import CrossCheck

    lines = []
    for path in sorted((RESULTS / "cross-check").glob("*.json")):
        found = CrossCheck.from_json(_kept(path.relative_to(RESULTS)))
        pairs = {"longest path, ns": found.longest_path_ns}
        for window, pair in found.net_mw.items():
            pairs[f"nets while it {window}s, mW"] = pair
        for window, pair in (found.internal_mw or {}).items():
            pairs[f"inside cells while it {window}s, mW"] = pair
        rows = [
            [what, f"{pair.opensta:.3f}", f"{pair.ours:.3f}", f"{pair.difference:+.1%}"]
            for what, pair in pairs.items()
        ]
        lines += [
            f"{found.rows}x{found.columns}, `{found.library}`, {found.voltage:.2f} V, "
            f"{found.temperature:g} C, {found.period_ns:g} ns, 8x8 bits, half of the words zero, "
            f"{found.pins:,} pins annotated; power without that of clock gates' nets.",
            "",
            *markdown_table(["", f"OpenSTA {found.version}", "here", "difference"], rows),
            *(["", f"{found.message}."] if found.message else []),
            "",
        ]
    return lines[:-1]


def _demo() -> list[str]:
    """Cost of an image of each network of `make demo`, layer by layer."""
    kept = json.loads((RESULTS / "demo.json").read_text(encoding="utf-8"))
    headings = (
        *("network", "layer", "AD", "k", "kw x kx", "MACs", "cycles", "toggles"),
        *("pJ", "load pJ", "fJ/MAC", "predicted / counted"),
    )
    rows = []
    for cost in kept["costs"]:
        for layer in cost["layers"]:
            density = "-" if layer["density"] is None else f"{layer['density']:.3f}"
            names = [cost["name"], layer["name"], density, str(layer["bits"]), layer["precision"]]
            rows.append([*names, *_costs(layer), f"{1 + layer['difference']:.3f}"])
        total = cost["total"]
        counted = total["compute_pj"] + total["load_pj"]
        row = [cost["name"], "**total**", "", "", "", *_costs(total)]
        rows.append([*row, f"{total['predicted_pj'] / counted:.3f}"])
    mixed, uniform = (cost["total"] for cost in kept["costs"])
    fields = ("macs", "cycles", "toggles", "compute_pj", "load_pj", "fj_per_mac")
    ratios = [f"**{uniform[name] / mixed[name]:.2f}x**" for name in fields]
    rows.append(["**ratio**", "16bit / mixed", "", "", "", *ratios, ""])
    energy = kept["energy"]
    return [
        *markdown_table(headings, rows),
        "",
        f"{kept['images']} images, {kept['tile']} tile: {kept['accumulators']:,} accumulators, "
        f"{kept['mismatches']} mismatches. {energy['name']}, {energy['node']}. "
        f"{' '.join(energy['labels'])} k: bits as trained. kw x kx: weight and activation bits on "
        "the tile. pJ and fJ/MAC: computing; load pJ: loading weights. Left out: glitches, clock "
        f"tree, {', '.join(energy['left_out'])}.",
    ]


def _costs(cost: Mapping[str, float]) -> list[str]:
    counts = [f"{cost[name]:,.0f}" for name in ("macs", "cycles", "toggles")]
    energies = [f"{cost[name]:,.0f}" for name in ("compute_pj", "load_pj")]
    return [*counts, *energies, f"{cost['fj_per_mac']:,.1f}"]


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


def _exploration() -> list[str]:
    """Points of the worked example's front, and what their simulations counted."""
    from adq.design_result import DesignResult
    from adq.explore.tables import figure_of, short

    kept = _kept("exploration.json")
    results = [DesignResult.from_json(each) for each in kept["results"]]
    objectives = ("energy_pj", "cycles", "area_um2", "clock_mhz", "energy_delay_pj_us")
    rows = [
        [f"{result.tile['rows']}x{result.tile['columns']}", f"`{short(result.network)}`"]
        + [figure_of(result, name) for name in objectives]
        for result in (results[place] for place in kept["front"])
    ]
    headings = ["tile", "network", "energy, pJ", "cycles", "area, um2", "MHz", "pJ x us"]
    lines = [
        f"{len(rows)} of {len(results)} points are on the front:",
        "",
        *markdown_table(headings, rows),
        "",
        "Simulations of the first of them:",
        "",
    ]
    confirmed = [
        [
            f"{each['counted']['tile']['rows']}x{each['counted']['tile']['columns']}",
            *(f"{each[kind]['objectives']['energy_pj']:,.0f}" for kind in ("predicted", "counted")),
            f"{each['energy_difference']:+.1%}",
            *(f"{each[kind]['cycles']:,.0f}" for kind in ("predicted", "counted")),
        ]
        for each in kept["confirmed"]
    ]
    headings = ["tile", "predicted pJ", "counted pJ", "difference", "predicted cycles", "counted"]
    return lines + markdown_table(headings, confirmed)


def _comparisons() -> list[str]:
    """Policies compared at equal cost, a table for each comparison that is kept."""
    from adq.comparison.outcome import Outcome

    lines: list[str] = []
    for path in sorted(Path("results/compare").glob("*.json")):
        lines += [*Outcome.read(path).markdown(), ""]
        figure = Path("figures") / path.stem / "comparison.svg"
        if ("docs" / figure).is_file():
            lines += [f"![Accuracy against energy of {path.stem}]({figure})", ""]
    return lines[:-1] or ["No comparison is kept yet."]


def _load() -> list[str]:
    """CPU seconds and memory of commands, by workload."""
    loads = _kept("load.json")["loads"]
    commands = list(dict.fromkeys(each["command"] for each in loads))
    rows: dict[str, list[str]] = {}
    for each in loads:
        told = f"{each['cpu_seconds']:.1f} s, {each['gibibytes']:.2f}"
        rows.setdefault(each["workload"], []).append(told)
    return markdown_table(["workload", *commands], [[name, *row] for name, row in rows.items()])


SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    **ENERGY_SECTIONS,
    "demo": _demo,
    "glitches": _glitches,
    "planted-faults": lambda: _kept_table("planted-faults"),
    "energy-changes": lambda: _kept_table("energy-changes"),
    "energy-tried": lambda: _kept_table("energy-tried"),
    "opensta-saif": lambda: _kept_table("opensta-saif"),
    "networks-simulated": lambda: _kept_table("networks-simulated"),
    "networks-at-gate-level": lambda: _kept_table("networks-at-gate-level"),
    "equivalence": _equivalence,
    "left-out": _left_out,
    "clock-tree": _clock_tree,
    "partial-sums": _partial_sums,
    "placement": _placement,
    "networks-with-partial-sums": _networks,
    "comparisons": _comparisons,
    "cross-check": _cross_check,
    "exploration": _exploration,
    "silicon": _silicon,
    "silicon-losses": _losses,
    "load": _load,
    "verilog-fields": _verilog_fields,
    "descriptors": _descriptors,
    "platform-cycles": _platform_cycles,
}
"""Lines of each section, by the name in its marker."""
