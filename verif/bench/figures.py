"""A measured figure and its target."""

from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure beside its target. ``value`` is None where it could not be measured, and
    ``conditions`` then say why.
    """

    name: str
    tile: str
    """Rows x columns."""
    value: float | None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    conditions: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether it is within its target; None where it was not measured or has none."""
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    def to_json(self) -> dict:
        """Return the figure as JSON holds it."""
        return {
            "name": self.name,
            "tile": self.tile,
            "value": self.value,
            "unit": self.unit,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "met": self.met,
            "conditions": self.conditions,
        }
