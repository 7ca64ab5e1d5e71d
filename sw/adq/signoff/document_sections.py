"""Generated sections of README and docs: the lines of each, from data in the repository."""

from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["SECTIONS"]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


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
            *_table(["", *bits], rows),
            "",
        ]
    return lines[:-1]


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
    return _table(headings, rows)


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


SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "glitches": _glitches,
    "silicon": _silicon,
    "silicon-losses": _losses,
}
"""Lines of each section, by the name in its marker."""
