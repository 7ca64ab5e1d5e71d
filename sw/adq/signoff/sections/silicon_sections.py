"""Generated sections that stand beside published silicon."""

from collections.abc import Callable, Mapping, Sequence

from adq.signoff.markdown import markdown_table

__all__ = ["SILICON_SECTIONS"]


def _silicon() -> list[str]:
    """Return published chips, by node, and the tile at several voltages."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.reports.silicon import silicon, tile_points
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
    """Say in words where others take less."""
    from adq.energy.glitches import glitch_factors
    from adq.energy.reports.silicon import silicon, tile_points
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


SILICON_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "silicon": _silicon,
    "silicon-losses": _losses,
}
"""Lines of each section, by the name in its marker."""
