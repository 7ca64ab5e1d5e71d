"""The work of a network's layers for one image."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from adq.cost.models import BASELINE_BITS, analytical_energy, pim_energy


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """A convolution or a linear layer, padding included."""

    name: str
    channels: int
    """Output channels."""
    macs: int
    """N_MAC: multiply-accumulates, M^2 * I * p^2 * O, with I the inputs of a group."""
    inputs: int
    """N^2 * I: values that the layer reads."""
    weights: int
    """p^2 * I * O: weights that it reads."""
    weight_bits: int
    activation_bits: int
    density: float | None = None
    """Activation density, where one is known."""

    @property
    def bits(self) -> int:
        """Precision k of a MAC: of its wider operand."""
        return max(self.weight_bits, self.activation_bits)

    @property
    def mac_bits(self) -> int:
        """MACs, each counted once for every bit of its precision."""
        return self.macs * self.bits

    @property
    def bit_operations(self) -> int:
        """Products of one weight bit and one activation bit."""
        return self.macs * self.weight_bits * self.activation_bits

    @property
    def analytical_pj(self) -> float:
        """Energy by the analytical estimate for 45 nm, in pJ."""
        return analytical_energy(self.macs, self.inputs + self.weights, self.bits)

    @property
    def pim_pj(self) -> float:
        """Energy on the paper's processing-in-memory platform, in pJ."""
        return pim_energy(self.macs, self.bits)

    def at(self, bits: int) -> "LayerWork":
        """Return the same layer at another precision."""
        return dataclasses.replace(self, weight_bits=bits, activation_bits=bits)


@dataclass(frozen=True, kw_only=True)
class NetworkWork:
    """A network, and the one at 16 bits that its reductions refer to."""

    name: str
    layers: tuple[LayerWork, ...]
    baseline: tuple[LayerWork, ...]
    baseline_name: str

    @classmethod
    def of(
        cls, name: str, layers: Sequence[LayerWork], unpruned: Sequence[LayerWork] | None = None
    ) -> "NetworkWork":
        """Compare a network with its unpruned self, or where that is unknown, with itself."""
        return cls(
            name=name,
            layers=tuple(layers),
            baseline=tuple(layer.at(BASELINE_BITS) for layer in unpruned or layers),
            baseline_name=(
                f"{BASELINE_BITS} bits "
                + ("and all channels" if unpruned else "and these channels")
            ),
        )

    def total(self, quantity: str) -> float:
        """Sum of a property of ``LayerWork`` over the layers."""
        return sum(getattr(layer, quantity) for layer in self.layers)

    def baseline_total(self, quantity: str) -> float:
        """Sum over the baseline's layers."""
        return sum(getattr(layer, quantity) for layer in self.baseline)

    def reduction(self, quantity: str) -> float:
        """How many times less than the baseline.

        Of ``mac_bits`` it is the paper's MAC reduction as this project reads it: the bits of all
        MACs, baseline over network. The paper's abstract gives no formula; it is linear in the
        precision, like both terms of the paper's analytical energy.
        """
        return self.baseline_total(quantity) / self.total(quantity)
