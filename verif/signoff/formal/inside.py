"""Access to internal signals of a component by name: proofs by induction need more than its ports.

Amaranth has no public way to find the local signals of an elaborated component. Its statements
are asked for what they drive (``_lhs_signals``), here and nowhere else.
"""

from amaranth.hdl import Fragment, Signal

__all__ = ["Inside"]


class Inside:
    """An elaborated component, with its internal signals by name.

    Attributes
    ----------
    fragment : Fragment
        To be made a submodule in place of the component.
    """

    def __init__(self, component):
        self.fragment = Fragment.get(component, None)

    def part(self, name: str) -> "Inside":
        """Return the internals of a submodule."""
        return Inside(self.fragment.find_subfragment(name))

    def __getitem__(self, name: str) -> Signal:
        """Return the signal of a name that the component itself drives, not one of a submodule."""
        found = self.named(name)
        if len(found) != 1:
            raise KeyError(f"{len(found)} signals are named {name}, not one")
        return found[0]

    def named(self, name: str) -> list[Signal]:
        """Return all signals of a name, in the order in which the component drives them."""
        return [signal for signal in self._driven() if signal.name == name]

    def _driven(self) -> list[Signal]:
        driven = {}
        for statements in self.fragment.statements.values():
            for statement in statements:
                driven |= {id(signal): signal for signal in statement._lhs_signals()}
        return list(driven.values())
