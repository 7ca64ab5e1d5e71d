"""`adq dev waveform`: the timing diagram of a job in the hardware's documentation."""

from pathlib import Path
from typing import Annotated

import typer


def waveform(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the figure goes, as SVG.")
    ] = Path("build/job.svg"),
) -> None:
    """Simulate one job on a tile small enough to read, and draw its waveforms."""
    import json

    import wavedrom

    from adq.files import write_text
    from adq.verif.waveform.job import job_waves

    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, wavedrom.render(json.dumps(job_waves())).tostring())
    typer.echo(f"Written: {out}")
