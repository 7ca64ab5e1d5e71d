"""Work of the layers of a network for one image."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from adq.cost.models import BASELINE_BITS, analytical_energy, pim_energy


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """Work of a convolution or linear layer for one image. MACs on padding are counted."""

    name: str
    channels: int
    """Output channels."""
    macs: int
    """Multiply-accumulates, N_MAC = M^2 * I * p^2 * O, where I is the input channels of a group."""
    inputs: int
    """Input values, N^2 * I."""
    weights: int
    """Weights, p^2 * I * O."""
    weight_bits: int
    """Bits of a weight."""
    activation_bits: int
    """Bits of an input activation."""
    density: float | None = None
    """Activation density, or None if unknown."""

    @property
    def bits(self) -> int:
        """Bits k of a MAC: those of its wider operand."""
        return max(self.weight_bits, self.activation_bits)

    @property
    def mac_bits(self) -> int:
        """MACs multiplied by their bits."""
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
    """Work of a network and of its 16-bit baseline."""

    name: str
    layers: tuple[LayerWork, ...]
    baseline: tuple[LayerWork, ...]
    baseline_name: str

    @classmethod
    def of(
        cls, name: str, layers: Sequence[LayerWork], unpruned: Sequence[LayerWork] | None = None
    ) -> "NetworkWork":
        """Create the work of a network. The baseline is ``unpruned``, or ``layers`` if unknown."""
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
        """Return the sum of a property of ``LayerWork`` over the layers."""
        total: float = sum(getattr(layer, quantity) for layer in self.layers)
        return total

    def baseline_total(self, quantity: str) -> float:
        """Return the sum of a property of ``LayerWork`` over the baseline's layers."""
        total: float = sum(getattr(layer, quantity) for layer in self.baseline)
        return total

    def reduction(self, quantity: str) -> float:
        """Return the baseline's total divided by the network's total.

        For ``mac_bits`` this is the paper's MAC reduction, as this project interprets it. The
        paper's abstract gives no formula. The interpretation is linear in the bits, like both terms
        of the paper's analytical energy.
        """
        return self.baseline_total(quantity) / self.total(quantity)
