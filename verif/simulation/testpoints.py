"""Marks cocotb tests with the testpoints that they show."""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["shows"]

T = TypeVar("T")


def shows(*testpoints: str, exhaustive: bool = False, reason: str = "") -> Callable[[T], T]:
    """Name the testpoints of ``verif/signoff/plan/testplan.toml`` that a test shows.

    The plan reads this from the file (``planned``); nothing happens where the test runs.

    Parameters
    ----------
    exhaustive
        The test draws nothing, or takes every value there is: one seed is as good as a hundred.
    reason
        Why the test shows no testpoint.
    """
    return lambda test: test
