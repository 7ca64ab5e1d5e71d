"""``adq dev docs``"""

from pathlib import Path
from typing import Annotated

import typer


def docs(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing: fail where a section or a name is out of date."
        ),
    ] = False,
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of README.md and docs/.")
    ] = Path(),
) -> None:
    """Write the generated sections of README and docs from kept results.

    With ``--check``, exit status 1 where a section differs from its data, or a document names a
    module, path, command or target that does not exist.
    """
    from adq.cli.application import command_names
    from adq.files import write_text
    from adq.signoff.documents import documents, make_targets, missing_names, written
    from adq.signoff.sections.document_sections import SECTIONS

    targets = make_targets(root / "Makefile")
    problems = []
    for path in documents(root):
        text = written(path, SECTIONS)
        if text != path.read_text(encoding="utf-8"):
            if check:
                problems.append(f"{path}: a section differs from its data: run `adq dev docs`")
            else:
                write_text(path, text)
                typer.echo(f"Written: {path}")
        problems += missing_names(path, root, commands=command_names(), targets=targets)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
