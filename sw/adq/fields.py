"""Checks of the fields of a configuration, with messages for people."""

from typing import Any

__all__ = ["ConfigError", "check_at_least", "check_between", "check_choice"]


class ConfigError(ValueError):
    """A recipe that cannot be read, or that asks for something impossible."""


def check_choice(key: str, value: str, choices: tuple[str, ...] | dict[str, Any]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise ConfigError(f"{key} is {value!r}: it must be one of {', '.join(choices)}")


def check_at_least(key: str, value: int, least: int) -> None:
    """Refuse a value below the least."""
    if value < least:
        raise ConfigError(f"{key} is {value}: it must be at least {least}")


def check_between(key: str, value: float, low: float, high: float, inclusive: bool = False) -> None:
    """Refuse a value that is not between two others; with ``inclusive`` it may be one of them."""
    if not (low <= value <= high if inclusive else low < value < high):
        form = f"{low} to {high}" if inclusive else f"more than {low} and less than {high}"
        raise ConfigError(f"{key} is {value}: it must be {form}")
