"""`adq dev waveform`: draws the timing diagram of a job for the documentation."""

from pathlib import Path
from typing import Annotated

import typer


def waveform(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Output file of the figure (SVG).")
    ] = Path("build/job.svg"),
) -> None:
    """Simulate one job on a small tile, and draw its waveforms."""
    import json

    import wavedrom

    from adq.files import write_text
    from adq.verif.waveform.job import job_waves

    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, wavedrom.render(json.dumps(job_waves())).tostring())
    typer.echo(f"Written: {out}")
