"""Signals inside a component, by name: induction needs more than its ports tell.

Amaranth has no public way to find the local signals of an elaborated component. Its statements
are asked for what they drive (``_lhs_signals``), here and nowhere else.
"""

from amaranth.hdl import Fragment, Signal

__all__ = ["Inside"]


class Inside:
    """An elaborated component, with its signals by name.

    Attributes
    ----------
    fragment : Fragment
        To be made a submodule in place of the component.
    """

    def __init__(self, component):
        self.fragment = Fragment.get(component, None)

    def part(self, name: str) -> "Inside":
        """What is inside a part of the component."""
        return Inside(self.fragment.find_subfragment(name))

    def __getitem__(self, name: str) -> Signal:
        """The signal of that name which the component itself drives, not a part of it."""
        found = self.named(name)
        if len(found) != 1:
            raise KeyError(f"{len(found)} signals are named {name}, not one")
        return found[0]

    def named(self, name: str) -> list[Signal]:
        """All signals of that name, in the order in which the component drives them."""
        return [signal for signal in self._driven() if signal.name == name]

    def _driven(self) -> list[Signal]:
        driven = {}
        for statements in self.fragment.statements.values():
            for statement in statements:
                driven |= {id(signal): signal for signal in statement._lhs_signals()}
        return list(driven.values())
