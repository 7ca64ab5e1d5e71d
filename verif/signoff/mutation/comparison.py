"""A design and a modified design with the same inputs."""

from amaranth.hdl import (
    Cat,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Shape,
    Signal,
)
from amaranth.lib import wiring

from adq.verif.signoff.mutation.contract import Contract

__all__ = ["Comparison"]


class Comparison(Elaboratable):
    """Drives two designs with the same inputs, starting with a reset, and signals whether their
    outputs differ.

    The payload of a stream counts only while the stream is valid, and nothing counts once inputs
    have come that the designs' contract forbids.

    Parameters
    ----------
    component : wiring.Component
        Whose ports both designs have.
    modules : tuple of str
        Their names.
    contract : ContractOf, optional
        It is given the inputs and the original's outputs.
    block : str
        Name of a block of a workbench, whose outputs alone are compared; all, if it is empty.

    Attributes
    ----------
    differs : Signal
    ports : list of Signal
        Inputs of the designs, and ``differs``.
    """

    def __init__(
        self, component: wiring.Component, *, modules: tuple[str, str], contract=None, block=""
    ):
        self.modules = modules
        self.contract = contract
        self.prefix = block and f"{block}__"
        self.inputs, self.outputs = {}, {}
        for path, member, _ in component.signature.flatten(component):
            name, shape = "__".join(map(str, path)), Shape.cast(member.shape)
            if member.flow is wiring.In:
                self.inputs[name] = Signal(shape, name=name)
            else:
                self.outputs[name] = [Signal(shape, name=f"{side}_{name}") for side in modules]
        self.differs = Signal()
        self.ports = [*self.inputs.values(), self.differs]

    def elaborate(self, platform):
        m = Module()
        started = Signal(reset_less=True)
        m.d.sync += started.eq(1)
        inputs = {f"i_{name}": signal for name, signal in self.inputs.items()}
        inputs |= {"i_clk": ClockSignal(), "i_rst": ResetSignal() | ~started}
        for side, module in enumerate(self.modules):
            outputs = {f"o_{name}": signals[side] for name, signals in self.outputs.items()}
            m.submodules[module] = Instance(module, **inputs, **outputs)
        differing = []
        originals = {name: Mux(started, one, 0) for name, (one, _) in self.outputs.items()}
        contract = self.contract(m, self.inputs, originals) if self.contract else Contract()
        for name, (one, other) in self.outputs.items():
            if not name.startswith(self.prefix):
                continue
            stream, payload, _ = name.partition("__payload")
            valid = self.outputs[f"{stream}__valid"][0] if payload else 1
            wrong = one ^ other
            if name in contract.masks:
                wrong &= contract.masks[name]
            differing.append(wrong.any() & valid)
        broken = Signal()
        with m.If(started & ~contract.kept):
            m.d.sync += broken.eq(1)
        counts = started & contract.kept & ~broken
        m.d.comb += self.differs.eq(counts & Cat(differing).any())
        return m
