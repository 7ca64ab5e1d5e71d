"""Sphinx directives that write reference tables from the code at build time.

``recipe-keys`` lists the tables and keys of a training recipe, ``tile-keys`` the keys of a tile
file, ``platform-keys`` those of a platform file, ``command-list`` the commands of ``adq`` with
their arguments and options.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters
from adq.training.config import Recipe


def markdown_table(heading: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    cells = [heading, tuple("---" for _ in heading), *rows]
    return [
        "| " + " | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in row) + " |"
        for row in cells
    ]


def shown_default(field: dataclasses.Field) -> str:
    """Return a field's default as TOML has it, or the word that it has none."""
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default!r}`".replace("'", '"')


def key_table(cls: type) -> list[str]:
    """Return the fields of a dataclass as a table of keys; the text is that under each field."""
    notes = ModuleAnalyzer.for_module(cls.__module__).find_attr_docs()
    return markdown_table(
        ("key", "type", "default", "meaning"),
        (
            (
                f"`{field.name}`",
                field.type.__name__,
                shown_default(field),
                " ".join(notes[cls.__name__, field.name]),
            )
            for field in dataclasses.fields(cls)
        ),
    )


def recipe_keys() -> list[str]:
    """Return a section for each table of a recipe."""
    lines = []
    for table in dataclasses.fields(Recipe):
        lines += [f"## `[{table.name}]`", "", inspect.getdoc(table.type), ""]
        lines += [*key_table(table.type), ""]
    return lines


def command_section(name: str, command: Any) -> list[str]:
    """Return the section of one command."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([name, *(argument.metavar or argument.name.upper() for argument in arguments)])
    lines = [f"### `{name}`", "", "```text", f"{usage}{' [OPTIONS]' if options else ''}", "```", ""]
    lines += [inspect.cleandoc(command.help or ""), ""]
    rows = [
        (
            f"`{argument.metavar or argument.name.upper()}`",
            "required" if argument.required else "",
            argument.help or "",
        )
        for argument in arguments
    ] + [
        (
            f"`{' '.join([', '.join(option.opts), option.metavar or '']).strip()}`",
            "required" if option.required else shown_option_default(option.default),
            option.help or "",
        )
        for option in options
    ]
    if rows:
        lines += [*markdown_table(("argument or option", "default", "meaning"), iter(rows)), ""]
    return lines


def shown_option_default(value: Any) -> str:
    """Return an option's default, empty where there is none to tell."""
    return "" if value in (None, False, "") or callable(value) else f"`{value}`"


def command_list() -> list[str]:
    """Return the commands for users, then those of ``adq dev``."""
    commands = typer.main.get_command(main).commands
    users = {name: command for name, command in commands.items() if name != "dev"}
    lines = ["## Commands for users", ""]
    for name, command in users.items():
        lines += command_section(f"adq {name}", command)
    lines += ["## Commands for developers", "", commands["dev"].help, ""]
    for name, command in commands["dev"].commands.items():
        lines += command_section(f"adq dev {name}", command)
    return lines


class Generated(SphinxDirective):
    """A directive without arguments whose content is Markdown that a function returns."""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class RecipeKeys(Generated):
    """All tables and keys of a recipe."""

    def lines(self) -> list[str]:
        return recipe_keys()


class TileKeys(Generated):
    """All keys of a tile file."""

    def lines(self) -> list[str]:
        return key_table(TileParameters)


class PlatformKeys(Generated):
    """All keys of a platform file."""

    def lines(self) -> list[str]:
        return key_table(PlatformParameters)


class CommandList(Generated):
    """All commands with their arguments and options."""

    def lines(self) -> list[str]:
        return command_list()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("recipe-keys", RecipeKeys)
    app.add_directive("tile-keys", TileKeys)
    app.add_directive("platform-keys", PlatformKeys)
    app.add_directive("command-list", CommandList)
    return {"parallel_read_safe": True}
