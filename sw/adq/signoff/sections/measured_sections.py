"""Generated sections that follow from measurements at gate level."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from adq.signoff.kept import RESULTS, kept_table, read_kept
from adq.signoff.markdown import markdown_table

if TYPE_CHECKING:
    from adq.energy.glitches import GlitchFactors

__all__ = ["MEASURED_SECTIONS"]


def _factors():
    """Kept factors of all libraries, of tiles with the default arithmetic."""
    from adq.energy.glitches import kept_factors
    from adq.rtl.parameters import TileParameters

    kept = [each for each in kept_factors() if each.arithmetic == TileParameters.arithmetic]
    return sorted(kept, key=lambda each: (each.library, each.rows * each.columns))


def _confirmed(factors: "GlitchFactors") -> str:
    """Say on how many nets Icarus Verilog counted the same toggles, if it was asked."""
    if factors.icarus is None:
        return "not confirmed by another simulator"
    nets = sum(each.confirmed_nets or 0 for each in factors.figures)
    differing = sum(each.differing_nets or 0 for each in factors.figures)
    return (
        f"Icarus Verilog {factors.icarus}: toggles of {nets - differing:,} of {nets:,} nets are "
        "the same"
    )


def _glitches() -> list[str]:
    """Return the glitch factors of every tile that was measured."""
    lines = []
    for factors in _factors():
        bits = [f"{each.weight_bits}x{each.activation_bits}" for each in factors.figures]
        widths = sorted(each.weight_bits for each in factors.figures)
        few, many = (f"{width}x{width}" for width in (widths[0], widths[-1]))
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
            f"{factors.temperature:g} C, {factors.period_ns:g} ns; {_confirmed(factors)}. "
            f"A MAC at {many} bits takes {factors.ratio(delayed=False):.1f}x one at {few} without "
            f"glitches, **{factors.ratio(delayed=True):.1f}x** with them.",
            "",
            *markdown_table(["", *bits], rows),
            "",
        ]
    return lines[:-1]


def _clock_tree() -> list[str]:
    """Return the estimate of the clock tree of every tile that was measured."""
    rows = []
    for factors in _factors():
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
    """Return the netlists that were compared with their RTL."""
    paths = (RESULTS / "equivalence").glob("*.json")
    kept = [read_kept(path.relative_to(RESULTS)) for path in paths]
    rows = []
    for found in sorted(kept, key=lambda each: each["ands"]):
        counts = {verdict: sum(each.values()) for verdict, each in found["comparisons"].items()}
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
        size = f"{found['tile']}, {found['library']}"
        rows.append([size, told, f"{found['ands']:,}", f"{found['cpu_seconds']:.0f}"])
    headings = ("tile", "next states and outputs", "gates of the miter", "s of processor time")
    return markdown_table(headings, rows)


def _left_out() -> list[str]:
    """Say how much the headline's figures leave out."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.reports.network_comparison import Comparison
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    found = Comparison.from_json(read_kept("partial-sums.json"))
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
    """Return the row of the placed tile: a MAC at 16x16 bits over one at 2x2, fJ a bit product."""
    from adq.energy.gate_level.placed_figures import placed_at
    from adq.rtl.parameters import TileParameters

    placed = placed_at("nangate45", TileParameters(rows=64, columns=64))
    assert placed is not None
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


def _partial_sums() -> list[str]:
    """Return the partial sum buffer in flip-flops and in SRAM."""
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
    """Return the networks with and without partial sums."""
    from adq.energy.reports.network_comparison import COLUMNS, Comparison

    found = Comparison.from_json(read_kept("partial-sums.json"))
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


def _cross_check(folder: str) -> list[str]:
    """Return OpenSTA beside this project's timing and power, for the results of a folder."""
    from adq.energy.cross_check import CrossCheck

    lines = []
    for path in sorted((RESULTS / folder).glob("*.json")):
        found = CrossCheck.from_json(read_kept(path.relative_to(RESULTS)))
        pairs = [("longest path, ns", found.longest_path_ns)]
        for window, pair in found.net_mw.items():
            pairs.append((f"nets while it {window}s, mW", pair))
            pairs += [(f"- {b}", part) for b, part in found.block_net_mw.get(window, {}).items()]
        for window, pair in (found.internal_mw or {}).items():
            pairs.append((f"inside cells while it {window}s, mW", pair))
        rows = [
            [what, f"{pair.opensta:.3f}", f"{pair.ours:.3f}", f"{pair.difference:+.1%}"]
            for what, pair in pairs
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


def _planted_faults() -> list[str]:
    """Show how gate level and counted energy move with faults that are planted in the RTL."""
    rows = []
    for fault, runs in read_kept("planted-faults.json").items():
        gate = [run["gate_after"] / run["gate"] - 1 for run in runs]
        counted = [(run["counted_after"] - run["counted"]) / run["gate"] for run in runs]
        worst = max(abs(one - other) for one, other in zip(gate, counted, strict=True))
        rows.append(
            [
                fault,
                f"{min(gate):+.1%} to {max(gate):+.1%}",
                f"{min(counted):+.1%} to {max(counted):+.1%}",
                f"{worst:.1%}",
            ]
        )
    headings = (*("fault", "gate level moves by", "counted energy moves by", "largest difference"),)
    return markdown_table(headings, rows)


MEASURED_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "glitches": _glitches,
    "planted-faults": _planted_faults,
    "energy-changes": lambda: kept_table("energy-changes"),
    "energy-tried": lambda: kept_table("energy-tried"),
    "sensitivity-estimates": lambda: kept_table("sensitivity-estimates"),
    "opensta-saif": lambda: kept_table("opensta-saif"),
    "networks-at-gate-level": lambda: kept_table("networks-at-gate-level"),
    "equivalence": _equivalence,
    "left-out": _left_out,
    "clock-tree": _clock_tree,
    "partial-sums": _partial_sums,
    "networks-with-partial-sums": _networks,
    "cross-check": lambda: _cross_check("cross-check"),
    "placed-cross-check": lambda: _cross_check("placed-cross-check"),
    "placement-tried": lambda: kept_table("placement-tried"),
}
"""Lines of each section, by the name in its marker."""
