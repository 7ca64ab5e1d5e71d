"""Shards: parts of a list of work, each done by itself, where no service connects the machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from adq.verif.parallel.worker import ParallelError

__all__ = ["WHOLE", "Shard"]

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Every ``count``-th item of a list, from the item ``number`` on, which counts from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``3/16``; nothing is the whole list.

        Raises
        ------
        ParallelError
            If it is no shard.
        """
        if not text:
            return WHOLE
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ParallelError(
                f"{text!r} is no shard: give its number and how many there are, such as 3/16; the "
                "first is 1/16"
            )
        return cls(int(found[1]), int(found[2]))

    def of(self, items: Sequence[T]) -> list[T]:
        """Return the items of this shard. Every item is in one shard."""
        return list(items[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard(1, 1)
"""All of a list."""
