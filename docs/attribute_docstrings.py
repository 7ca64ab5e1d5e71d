"""Keep docstrings of attributes as they are written.

Napoleon reads ``text: more text`` under an attribute as a type and a description. Here it is a
sentence with a colon.
"""

from typing import Any

from sphinx.application import Sphinx

ATTRIBUTES = ("attribute", "data", "property")


class Keeper:
    """Hides the lines of an attribute's docstring while Napoleon runs."""

    def __init__(self):
        self.lines: list[str] = []

    def hide(
        self, app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
    ) -> None:
        if what in ATTRIBUTES:
            self.lines, lines[:] = list(lines), []

    def restore(
        self, app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
    ) -> None:
        if what in ATTRIBUTES:
            lines[:] = self.lines


def setup(app: Sphinx) -> dict[str, bool]:
    """Frame Napoleon, whose priority is 500."""
    keeper = Keeper()
    app.connect("autodoc-process-docstring", keeper.hide, priority=400)
    app.connect("autodoc-process-docstring", keeper.restore, priority=600)
    return {"parallel_read_safe": True}
