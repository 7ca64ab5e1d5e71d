"""Cost metrics of a training run: reductions of its network, and training complexity."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from adq.cost.models import BASELINE_BITS, pim_energy


class Epoch(Protocol):
    """Bits and MACs per image of each layer in one epoch."""

    @property
    def bits(self) -> Mapping[str, int]: ...

    @property
    def macs(self) -> Mapping[str, int]: ...


def cost_metrics(history: Sequence[Epoch]) -> dict[str, float]:
    """Return the cost metrics of a network from its epochs, of which the first is unpruned.

    The baseline is the network of the first epoch at 16 bits, trained for the same number of
    epochs.

    ``mac_reduction``, ``bit_operation_reduction``, ``pim_energy_reduction``
        Cost of an image with the baseline divided by its cost with the final network. The costs are
        bits summed over all MACs, bit operations, and energy by the paper's table.
    ``pim_energy_uj``
        Energy of an image by the paper's table, in uJ.
    ``training_complexity``
        Cost of the training relative to the baseline; see ``training_complexity``.
    """
    first, last = history[0], history[-1]
    baseline_bits = dict.fromkeys(first.macs, BASELINE_BITS)
    energy = _pim_energy(last.macs, last.bits)
    return {
        "mac_reduction": _mac_bits(first.macs, baseline_bits) / _mac_bits(last.macs, last.bits),
        "bit_operation_reduction": (
            _bit_operations(first.macs, baseline_bits) / _bit_operations(last.macs, last.bits)
        ),
        "pim_energy_uj": energy / 1e6,
        "pim_energy_reduction": _pim_energy(first.macs, baseline_bits) / energy,
        "training_complexity": training_complexity(history),
    }


def training_complexity(history: Sequence[Epoch], baseline_epochs: int | None = None) -> float:
    """Return the cost of a training relative to its 16-bit baseline.

    The paper defines it as the sum over iterations i of epochs_i / (MAC reduction)_i, divided by
    the baseline's epochs. All epochs of an iteration have the same MAC reduction, so this function
    sums over epochs. ``baseline_epochs`` defaults to the number of epochs.
    """
    first = history[0].macs
    baseline = _mac_bits(first, dict.fromkeys(first, BASELINE_BITS))
    spent = sum(_mac_bits(epoch.macs, epoch.bits) / baseline for epoch in history)
    return spent / (baseline_epochs or len(history))


def _mac_bits(macs: Mapping[str, int], bits: Mapping[str, int]) -> int:
    return sum(macs[layer] * bits[layer] for layer in macs)


def _bit_operations(macs: Mapping[str, int], bits: Mapping[str, int]) -> int:
    return sum(macs[layer] * bits[layer] ** 2 for layer in macs)


def _pim_energy(macs: Mapping[str, int], bits: Mapping[str, int]) -> float:
    return sum(pim_energy(macs[layer], bits[layer]) for layer in macs)
