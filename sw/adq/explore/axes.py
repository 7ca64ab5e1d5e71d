"""Axes of a space. A new axis is an entry here, and a line where ``evaluation`` builds a point."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters
from adq.training.config import Recipe

__all__ = ["AXES", "Axis"]


@dataclass(frozen=True)
class Axis:
    """Axis that a space may vary.

    Attributes
    ----------
    part : str
        What it belongs to: ``tile``, ``platform`` (around tiles of ``rows`` and ``columns``),
        ``model`` (of the energy), ``network``, ``architecture`` (a network that is given by its
        name alone, and has no precisions or densities of its own), ``training`` (a network that
        is trained for the point), or ``recipe`` (a key of the recipe that it is trained by).
    valid
        Whether a value has the right form. Ranges are checked where a point is built.
    form : str
        The form in words.
    default
        Value where the space does not name the axis.
    """

    name: str
    part: str
    valid: Callable[[Any], bool]
    form: str
    default: Any

    @property
    def key(self) -> str:
        """Name without the table of a recipe."""
        return self.name.rpartition(".")[2]

    @property
    def title(self) -> str:
        """Name in words, without the table of a recipe."""
        return self.key.replace("_", " ")


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _bits(value: Any) -> bool:
    return _integer(value) or (
        isinstance(value, list) and bool(value) and all(map(_integer, value))
    )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _optional_integer(value: Any) -> bool:
    return value is None or _integer(value)


_FORMS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (_integer, "an integer"),
    float: (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "a number",
    ),
    str: (lambda value: isinstance(value, str), "a text"),
}
"""Check and form, in words, of the values of a key of a recipe, by its type."""


def _recipe_axes() -> Iterator[Axis]:
    """Yield an axis for each key of a recipe, such as ``controller.policy``, but for the baseline,
    which is no network of a point.
    """
    for table in dataclasses.fields(Recipe):
        assert isinstance(table.type, type)
        for key in dataclasses.fields(table.type):
            name = f"{table.name}.{key.name}"
            if name != "training.baseline":
                yield Axis(name, "recipe", *_FORMS[key.type], None)


AXES = {
    axis.name: axis
    for axis in (
        Axis("network", "network", _text, "a golden artifact, a result or an architecture", None),
        Axis("rows", "tile", _integer, "an integer", TileParameters.rows),
        Axis("columns", "tile", _integer, "an integer", TileParameters.columns),
        Axis("row_blocks", "tile", _integer, "an integer", TileParameters.row_blocks),
        Axis("partial_sums", "tile", _integer, "an integer", TileParameters.partial_sums),
        Axis("vectors", "tile", _integer, "an integer", TileParameters.vectors),
        Axis("arithmetic", "tile", _text, "an adder tree's name", TileParameters.arithmetic),
        *(
            Axis(field.name, "platform", _integer, "an integer", field.default)
            for field in dataclasses.fields(PlatformParameters)
            if field.name not in ("rows", "columns")
        ),
        Axis("library", "model", _text, "a library's name, or a file of coefficients", "nangate45"),
        Axis("images", "network", _integer, "an integer", 1),
        Axis("bits", "architecture", _bits, "an integer, or one for each layer", 16),
        Axis("first_bits", "architecture", _optional_integer, "an integer", None),
        Axis("last_bits", "architecture", _optional_integer, "an integer", None),
        Axis("density", "architecture", _share, "0 to 1", 0.5),
        Axis("weight_density", "architecture", _share, "0 to 1", 0.5),
        Axis("input", "architecture", _text, "channels, rows and columns, as 3x32x32", "3x32x32"),
        Axis("classes", "architecture", _integer, "an integer", 10),
        Axis("recipe", "training", _text, "a recipe's name, or its file", None),
        Axis("iteration", "training", _optional_integer, "an integer", None),
        Axis("seeds", "training", _integer, "an integer", 1),
        *_recipe_axes(),
    )
}
"""All axes by name. ``images`` share a weight load; on a platform they are those of a pass. With
``seeds`` a network is trained that many times, and its figures are means."""
