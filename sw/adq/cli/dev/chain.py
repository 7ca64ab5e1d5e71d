"""`adq dev chain`: the picture of the chain and its result in the README."""

from pathlib import Path
from typing import Annotated

import typer


def chain(
    result: Annotated[
        Path, typer.Option("--result", metavar="FILE", help="Kept result of the training run.")
    ] = Path("results/digits.json"),
    trained: Annotated[
        Path, typer.Option("--trained", metavar="DIR", help="Its golden artifact.")
    ] = Path("golden/vectors/digits-levels/mixed"),
    uniform: Annotated[
        Path, typer.Option("--uniform", metavar="DIR", help="The same network at 16 bits.")
    ] = Path("golden/vectors/digits-levels/16bit"),
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the figure goes, as SVG.")
    ] = Path("build/figures/chain.svg"),
) -> None:
    """Draw the chain from images to energy, with what is kept of one network."""
    import matplotlib

    from adq.runs.density_figures import save
    from adq.signoff.chain_figure import draw_chain
    from adq.signoff.chain_result import kept_chain

    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
        save(draw_chain(kept_chain(result, trained, uniform)), out)
    typer.echo(f"Written: {out}")
