"""Generated sections that follow from coefficients and glitch factors."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adq.signoff.markdown import markdown_table

if TYPE_CHECKING:
    from adq.energy.glitches import GlitchFigure

__all__ = ["ENERGY_SECTIONS"]


def _coefficients():
    """Checked-in coefficients of all libraries, of tiles with the default arithmetic."""
    from adq.energy.coefficients import checked_in
    from adq.rtl.parameters import TileParameters

    usual = [each for each in checked_in() if each.tile.arithmetic == TileParameters.arithmetic]
    return sorted(usual, key=lambda c: (c.library, c.tile.rows * c.tile.columns, c.tile.rows))


def _energy_errors() -> list[str]:
    """Return the errors of counted and of predicted energy against gate level, by tile."""
    rows = []
    for each in _coefficients():
        found = each.provenance

        def worst(name: str, window: str, found: Mapping[str, Any] = found) -> str:
            errors = [abs(e["error"]) for e in found[name] if e["window"] == window]
            return f"{max(errors):.1%}"

        rows.append(
            [
                f"{each.tile.rows}x{each.tile.columns}, `{each.library}`",
                f"{found['runs']}, {len({e['run'] for e in found['counted_held_out']})}",
                worst("counted_held_out", "compute"),
                worst("counted_held_out", "load"),
                f"{found['counted_fit_error']:.1%}",
                worst("held_out", "compute"),
                worst("held_out", "load"),
                f"{found['difference']:.1%}",
            ]
        )
    headings = (
        *("tile", "runs fitted, held out", "counted, computing", "loading", "worst fitted run"),
        *("predicted, computing", "loading", "predicted and counted differ by"),
    )
    return markdown_table(headings, rows)


def _sizes_left_out() -> list[str]:
    """Return the errors of sizes that were left out and estimated from the others."""
    rows = []
    for each in _coefficients():
        found = each.provenance
        if "left_out_from" not in found:
            continue
        size = f"{each.tile.rows}x{each.tile.columns}"
        rows.append(
            [
                f"{size}, `{each.library}`",
                found["left_out_from"],
                "between them" if found["left_out_inside"] else "outside",
                f"{found['left_out_distance']:g}",
                f"{found['left_out_error']:.1%}",
                f"{found['left_out_predictor_error']:.1%}",
                f"{found['left_out_leakage_error']:+.1%}",
            ]
        )
    headings = (
        *("left out", "from", "it lies", "doublings to the nearest"),
        *("worst held-out layer, counted", "predicted", "leakage"),
    )
    return markdown_table(headings, rows)


def _gate_level() -> list[str]:
    """Return the energy of computing at gate level, by precision and block."""
    from adq.energy.glitches import glitch_factors
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    parts = {
        "AND plane, adders": ("AND plane", "column adders"),
        **{each: (each,) for each in ("row lines", "fusing", "accumulators")},
    }
    told = {block for blocks in parts.values() for block in blocks}
    rows = []
    for each in factors.figures:
        blocks = {name: fj / each.bit_products for name, fj in each.zero_delay.items()}
        total = sum(blocks.values())
        rest = total - sum(blocks[block] for block in told)
        rows.append(
            [
                f"{each.weight_bits}x{each.activation_bits}",
                f"{total * each.weight_bits * each.activation_bits:,.1f}",
                f"{total:.2f}",
                *(f"{sum(blocks[block] for block in of):.2f}" for of in parts.values()),
                f"{rest:.2f}",
            ]
        )
    headings = ("bits", "fJ/MAC", "fJ a bit product", *parts, "the rest")
    return markdown_table(headings, rows)


def _arithmetics() -> list[str]:
    """Energy a bit product, area and longest path of each size and arithmetic."""
    from adq.energy.glitches import kept_factors

    rows = []
    kept = kept_factors("nangate45")
    for each in sorted(kept, key=lambda each: (each.rows * each.columns, each.arithmetic)):
        figures = {figure.weight_bits: figure for figure in each.figures}
        cells = each.rows * each.columns
        rows.append(
            [
                f"{each.rows}x{each.columns}",
                f"`{each.arithmetic}`{', pins ordered' if each.ordered_pins else ''}",
                "" if each.area_um2 is None else f"{each.area_um2 / cells:.1f}",
                f"{each.period_ns:g}",
                "" if each.longest_path_ns is None else f"{each.longest_path_ns:.2f}",
                *(_with_glitches(figures.get(bits)) for bits in (2, 4, 8, 16)),
            ]
        )
    headings = (
        *("tile", "arithmetic", "um2 a bit cell", "sized for, ns", "longest path, ns"),
        *("2x2", "4x4", "8x8", "16x16"),
    )
    return markdown_table(headings, rows)


def _with_glitches(figure: "GlitchFigure | None") -> str:
    """Energy in fJ a bit product without and with glitches, and the factor between."""
    if figure is None:
        return ""
    zero, delayed = (
        sum(energies.values()) / figure.bit_products
        for energies in (figure.zero_delay, figure.delayed)
    )
    return f"{zero:.2f} / {delayed:.2f} (x{figure.factor:.2f})"


def _words() -> list[str]:
    """Return the energy of a MAC at 16x16 bits over one at 2x2 bits, by the share of bits that are
    set.
    """
    from adq.energy.glitches import glitch_factors
    from adq.rtl.parameters import TileParameters

    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    [own] = [
        each
        for each in _coefficients()
        if (each.library, each.tile.rows, each.tile.columns) == ("nangate45", 64, 64)
    ]
    half = {
        each.weight_bits: sum(each.zero_delay.values()) / each.bit_products
        for each in factors.figures
    }
    any_value = {
        int(bits): fj / int(bits) ** 2 for bits, fj in own.provenance["mac_fj"]["any_value"].items()
    }
    rows = []
    for words, bits_set, energies in (
        ("of any value, 0 too", "1/2, 1/2", any_value),
        ("exactly half of them zero, the others any but 0", "1/3, 1/4", half),
    ):
        each = [f"{energies[bits]:.2f}" for bits in (2, 4, 8, 16)]
        rows.append([words, bits_set, *each, f"{64 * energies[16] / energies[2]:.1f}x"])
    headings = (
        *("words", "of their bits set, at 2 / 16 bits", "2x2", "4x4", "8x8"),
        *("16x16, fJ a bit product", "16x16 / 2x2, a MAC"),
    )
    return markdown_table(headings, rows)


def _libraries() -> list[str]:
    """Return the energy of computing with words of any value, by library and tile."""
    rows = []
    for each in _coefficients():
        energies = each.provenance["mac_fj"]["any_value"]
        rows.append(
            [
                f"`{each.library}`, {each.conditions}",
                f"{each.tile.rows}x{each.tile.columns}",
                *(f"{energies[str(bits)] / bits**2:.2f}" for bits in (2, 4, 8, 16)),
                f"{energies['16'] / energies['2']:.1f}x",
                f"{each.provenance['nets']:,}",
            ]
        )
    headings = ("library", "tile", "2x2", "4x4", "8x8", "16x16", "16x16 / 2x2, a MAC", "nets")
    return markdown_table(headings, rows)


def _macs() -> list[str]:
    """Return a MAC of random words by the predictor, beside published ones."""
    from adq.cost.models import PIM_FJ_PER_MAC
    from adq.energy.coefficients import coefficients_for
    from adq.energy.network_energy import BITS, mac_energy
    from adq.energy.reports.published import COLONNADE_FJ_PER_MAC
    from adq.energy.workload import Density
    from adq.rtl.parameters import TileParameters

    model = coefficients_for("nangate45", TileParameters(rows=64, columns=64))
    rows = []
    for bits in BITS:
        dense, half = (mac_energy(model, bits, bits, Density(each)) for each in (1.0, 0.5))
        rows.append(
            [
                f"{bits}x{bits}",
                *(f"{each:,.1f}" for each in (dense, half)),
                f"{half / bits**2:.2f}",
                *(f"{each[bits]:,.1f}" for each in (PIM_FJ_PER_MAC, COLONNADE_FJ_PER_MAC)),
            ]
        )
    headings = (
        *("bits", "fJ/MAC, AD 1.0", "AD 0.5", "a bit product, AD 0.5"),
        *("paper's PIM, 45 nm", "Colonnade, 65 nm, 0.8 V"),
    )
    return markdown_table(headings, rows)


ARTIFACTS = (
    *("digits-levels/mixed", "digits-levels/16bit"),
    *("digits/mixed", "digits/16bit", "resnet8"),
)
"""Golden artifacts of the repository, below ``golden/vectors``."""


@functools.cache
def _computing() -> Mapping[str, tuple[float, float]]:
    """Return the energy of computing of the repository's artifacts, nJ an image, by the wire load
    model and as placed.
    """
    from adq.energy.coefficients import coefficients_for
    from adq.energy.sources import artifact_energy
    from adq.rtl.parameters import TileParameters

    tile = TileParameters(rows=64, columns=64)
    models = [coefficients_for(each, tile) for each in ("nangate45", "nangate45-placed")]
    found = {}
    for name in ARTIFACTS:
        path = Path("golden", "vectors", name)
        mapped, placed = (
            artifact_energy(path, model, None).total("compute_pj") / 1000 for model in models
        )
        found[name] = mapped, placed
    return found


def _latches() -> list[str]:
    """Return what tiles of 64 rows and more with weights in latches take beside those with
    flip-flops: area, leakage, and loading the weights of the artifacts.
    """
    from adq.energy.coefficients import coefficients_for
    from adq.energy.network_energy import NetworkEnergy
    from adq.energy.workload import artifact_features
    from adq.golden.artifact import read_artifact

    artifacts = {name: read_artifact(Path("golden", "vectors", name)) for name in ARTIFACTS}
    rows = []
    for latched in (each for each in _coefficients() if each.latches and each.tile.rows >= 64):
        tile = latched.tile
        library = latched.library.removesuffix("-latches")
        features = {
            name: artifact_features(artifact, tile, len(artifact.samples))
            for name, artifact in artifacts.items()
        }
        for words, model in (
            ("flip-flops", coefficients_for(library, tile)),
            ("latches", latched),
        ):
            loads = (
                NetworkEnergy.of(name, layers, model, "samples").total("load_pj") / 1000
                for name, layers in features.items()
            )
            rows.append(
                [
                    f"{tile.rows}x{tile.columns}, {words}",
                    f"{model.area_um2 / (tile.rows * tile.columns):.1f}",
                    f"{model.leakage_nw / 1000:,.0f}",
                    *(f"{each:.2f}" for each in loads),
                ]
            )
    headings = ("tile, weights in", "um2 a bit cell", "leakage, uW")
    return markdown_table([*headings, *(f"loading `{each}`, nJ" for each in artifacts)], rows)


def _placed_networks() -> list[str]:
    """Return the table of the artifacts by the wire load model and as placed."""
    computing = _computing()
    rows = [
        [f"`{name}`", *(f"{each:,.1f}" for each in energies), f"x{energies[1] / energies[0]:.2f}"]
        for name, energies in computing.items()
    ]
    for name in ("digits-levels", "digits"):
        mixed, uniform = computing[f"{name}/mixed"], computing[f"{name}/16bit"]
        ratios = (f"**{b / a:.2f}x**" for a, b in zip(mixed, uniform, strict=True))
        rows.append([f"**{name}, 16 bits / mixed**", *ratios, ""])
    return markdown_table(["artifact, nJ an image", "wire load model", "as placed", ""], rows)


def _placed_digits() -> list[str]:
    """Say in a line what the digits networks take as placed."""
    told = []
    for folder in ("digits-levels", "digits"):
        (_, mixed), (_, uniform) = (_computing()[f"{folder}/{name}"] for name in ("mixed", "16bit"))
        told.append((mixed, uniform, f"**{uniform / mixed:.1f}x**"))
    (mixed, uniform, ratio), (_, _, paper) = told
    return [
        f"With the wires, the clock tree and the glitches of a placed tile an image of `mixed` "
        f"takes {mixed:.1f} nJ, and one of `16bit` {uniform:.1f} nJ: {ratio}; {paper} with "
        "images and ends of 16 bits."
    ]


ENERGY_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "energy-errors": _energy_errors,
    "sizes-left-out": _sizes_left_out,
    "gate-level": _gate_level,
    "gate-level-words": _words,
    "arithmetics": _arithmetics,
    "libraries": _libraries,
    "macs": _macs,
    "latches": _latches,
    "placed-networks": _placed_networks,
    "placed-digits": _placed_digits,
}
"""Lines of each section, by the name in its marker."""
