"""A tile's characterization for people: its progress, and what it found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from adq.cli.tile_options import CACHE
from adq.console import Console
from adq.energy.gate_level.characterization import Case, Opening, characterize, open_mapped
from adq.energy.terms import CLOCK
from adq.rtl.parameters import TileParameters
from adq.verif.parallel.pools import Pool
from adq.verif.simulation.switching.activity import BLOCKS

__all__ = ["characterization_table", "characterize_with_bar", "mac_energies"]


def characterize_with_bar(
    parameters: TileParameters,
    liberty: Path,
    cases: Sequence[Case],
    console: Console,
    *,
    directory: Path,
    pool: Pool,
    open_tile: Opening = open_mapped,
) -> dict[str, Any]:
    """Characterize a tile, with a bar that shows how far it is."""
    with Progress(console=console) as bar:
        task = bar.add_task("starting", total=len(cases))

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=escape(name))

        return characterize(
            parameters,
            liberty,
            cases,
            directory=directory,
            cache=CACHE.parent,
            pool=pool,
            open_tile=open_tile,
            progress=show,
        )


def characterization_table(found: Mapping[str, Any]) -> Table:
    """Return the energy of a MAC at gate level where half of the activation words are zero, by
    block.
    """
    library, tile = found["library"], found["tile"]
    energies, any_value, leakage = mac_energies(found["runs"], found["period_ns"])
    placed = found.get("layout") is not None
    wires = "the placed wires" if placed else "the wire load model"
    included = "with clock tree and glitches." if placed else "no glitches: a lower bound."
    table = Table(
        title=f"{tile['rows']}x{tile['columns']} in {library['name']}: energy of computing",
        caption=(
            f"Gate level, {library['voltage']} V, {library['temperature']:g} C, half of the words "
            f"zero, random weights; {included}\n"
            f"{found['nets']:,} of {found['nets']:,} nets annotated; loads of {wires}."
        ),
        caption_justify="left",
    )
    table.add_column("")
    for bits in energies:
        table.add_column(f"{bits}x{bits}", justify="right")
    totals = {bits: sum(energy.values()) for bits, energy in energies.items()}
    table.add_row("fJ/MAC", *(f"{total:,.1f}" for total in totals.values()))
    table.add_row("fJ a bit product", *(f"{total / bits**2:.2f}" for bits, total in totals.items()))
    order = [*BLOCKS, CLOCK]
    for block in sorted(set().union(*energies.values()), key=order.index):
        shares = (energy.get(block, 0.0) / bits**2 for bits, energy in energies.items())
        table.add_row(f"  {block}", *(f"{share:.2f}" for share in shares))
    table.add_row(
        "leakage, apart", *(f"{energy / bits**2:.2f}" for bits, energy in leakage.items())
    )
    if any_value.keys() >= totals.keys():
        table.add_section()
        table.add_row(
            "words of any value", *(f"{any_value[bits] / bits**2:.2f}" for bits in totals)
        )
    for what, energy in (
        ("A MAC", totals),
        ("Of words of any value, half of whose bits are set, one", any_value),
    ):
        if {2, 16} <= energy.keys():
            table.caption = (
                f"{table.caption}\n{what} of 16x16 bits takes "
                f"{energy[16] / energy[2]:.1f}x one of 2x2."
            )
    return table


def mac_energies(
    runs: Sequence[Mapping[str, Any]], period_ns: float
) -> tuple[dict[int, dict[str, float]], dict[int, float], dict[int, float]]:
    """Return the energy in fJ of a MAC of as many weight as activation bits, by these: by block
    where half of the words are zero, in all where words are of any value, and the leakage of the
    former.
    """
    runs = [
        run
        for run in runs
        if run["weights"] == "uniform"
        and run["used"] == 1
        and run["weight_bits"] == run["activation_bits"]
    ]
    half = [run for run in runs if abs(run["activation_density"] - 0.5) < 0.05]
    any_value = {
        run["weight_bits"]: sum(_energy_by_block(run).values())
        for run in runs
        if run.get("words") == "any"
    }
    leakage = {}
    for run in half:
        picoseconds = run["windows"]["compute"]["cycles"] * period_ns * 1e3
        leakage[run["weight_bits"]] = run["leakage_nw"] * picoseconds * 1e-6 / run["macs"]
    return {run["weight_bits"]: _energy_by_block(run) for run in half}, any_value, leakage


def _energy_by_block(run: Mapping[str, Any]) -> dict[str, float]:
    """Return the energy of computing a MAC by block, in fJ."""
    blocks = run["windows"]["compute"]["blocks"]
    return {block: sum(parts.values()) / run["macs"] for block, parts in blocks.items()}
