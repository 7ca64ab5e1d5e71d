"""Classes of nets: nets of a block whose declared names differ only in their indices.

A class is what a designer would call one signal: all sums of an adder tree, all words of a storage,
all bits of a bus. Its nets drive the same cells, so that a toggle of any of them takes about the
same energy. Classes follow from the names in the elaborated design, whatever the design is: nothing
here knows what a block computes.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BLOCKS", "ClassCounts", "NetClass", "block_of", "named_nets", "stem"]

BLOCKS: dict[str, str] = {
    "row lines": r"weight_array\.row_lines",
    "AND plane": r"weight_array\.products",
    "storage": r"weight_array\.(weights_\d|beat|write_)",
    "column adders": r"column_counter\.",
    "fusing": r"shift_add\.fuser\.(?!weight_bits)",
    "accumulators": r"shift_add\.accumulator_",
    "partial sum buffer": r"shift_add\.collector\.(partial_sums\.|(earlier|summed|adds|writes)\b)",
    "collector": r"shift_add\.collector\.",
    "feeder": r"feeder\.",
    "control": r"",
}
"""Blocks in which activity is counted, and the start of their nets' names. A net with several
names belongs to the first block that has one: that which drives it."""


_EXPRESSION = re.compile(r"\bport\$")
"""Names that Amaranth gives to expressions at the boundary of a component: no signal has them, and
their numbers change with the component's other ports."""


@dataclass(frozen=True, order=True)
class NetClass:
    """A class of nets.

    Attributes
    ----------
    block : str
    name : str
        Name that its nets have in common, see :func:`stem`.
    """

    block: str
    name: str

    def __str__(self) -> str:
        return f"{self.block}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "NetClass":
        """Parse the text that ``str`` returns.

        Raises
        ------
        ValueError
            If it has no block and name.
        """
        block, separator, name = text.partition("/")
        if not separator:
            raise ValueError(f"{text!r:.40} is no class of nets")
        return cls(block, name)


@dataclass(frozen=True)
class ClassCounts:
    """Switching of the nets of each class.

    Attributes
    ----------
    toggles : dict of NetClass to int
        Nets that differ from the cycle before, summed over the cycles.
    clocked : dict of NetClass to int
        Register bits whose clock is enabled, summed over the cycles.
    enabled : dict of NetClass to int
        Cycles in which the clock of any register of the class is enabled: what a clock gate in
        front of all of them lets through.
    """

    toggles: dict[NetClass, int]
    clocked: dict[NetClass, int]
    enabled: dict[NetClass, int]

    @property
    def blocks(self) -> dict[str, dict[str, int]]:
        """Sums ``toggles`` and ``clocked`` of each block."""
        sums: dict[str, dict[str, int]] = {}
        for kind, counts in (("toggles", self.toggles), ("clocked", self.clocked)):
            for net_class, count in counts.items():
                of_block = sums.setdefault(net_class.block, {"toggles": 0, "clocked": 0})
                of_block[kind] += count
        return sums

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts as plain values for JSON."""
        return {
            "toggles": {str(each): count for each, count in self.toggles.items()},
            "clocked": {str(each): count for each, count in self.clocked.items()},
            "enabled": {str(each): count for each, count in self.enabled.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Mapping[str, int]]) -> "ClassCounts":
        """Read the result of :meth:`to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        return cls(
            *(
                {NetClass.parse(each): int(count) for each, count in content[kind].items()}
                for kind in ("toggles", "clocked", "enabled")
            )
        )


def stem(name: str) -> str:
    """Return the name of a net without path and indices: ``fuse_sum`` for ``fuser.fuse_4_0_sum``.

    An index in brackets, the number that Amaranth appends to names that repeat, and numbers in the
    name itself are indices. Members of a structure keep their structure's name.
    """
    # A number in front of a dot is no instance, but a member of an array or a lane.
    parts = re.sub(r"\[\d+\]|\$\d*", "", name).split(".")
    while len(parts) > 1 and not re.search(r"[A-Za-z]", parts[-1]):
        parts.pop()
    words = [word for word in parts[-1].split("_") if word and not word[0].isdigit()]
    return "_".join(re.sub(r"\d+$", "", word) for word in words) or "net"


def block_of(name: str, blocks: Mapping[str, str] = BLOCKS) -> str:
    """Return the block of a net, from the net's name."""
    return next(block for block, start in blocks.items() if re.match(start, name))


def named_nets(
    names: Mapping[str, Sequence[Hashable]], blocks: Mapping[str, str] = BLOCKS
) -> Iterator[tuple[str, NetClass]]:
    """Yield the names of nets with their classes, in order of priority: a net with several names
    belongs to the class of the first one.
    """
    order = {block: place for place, block in enumerate(blocks)}
    found = sorted(
        (order[block_of(name, blocks)], bool(_EXPRESSION.search(name)), name) for name in names
    )
    for place, _, name in found:
        yield name, NetClass(list(blocks)[place], stem(name))
