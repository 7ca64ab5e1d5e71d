"""Published costs of a multiply-accumulate (MAC), by precision.

Source: Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy Efficient
Neural Networks", DATE 2021. The 16-bit entry of the table reproduces the paper's energy of VGG19
(398,136,320 MACs, 110.15 uJ). The other entries and the analytical formula are recalled and
unchecked.
"""

BASELINE_BITS = 16
"""Precision of the network that reductions refer to."""

PIM_FJ_PER_MAC = {2: 2.942, 4: 16.968, 8: 66.714, 16: 276.676}
"""Energy per MAC on the paper's processing-in-memory platform at 45 nm, in fJ, by bits."""


def pim_bits(bits: int) -> int:
    """Return the precision at which the platform computes ``bits``: 2, 4, 8 or 16.

    ``bits`` is rounded up. Energies are not interpolated, because the platform has no precisions
    between these.
    """
    for width in PIM_FJ_PER_MAC:
        if bits <= width:
            return width
    raise ValueError(f"{bits} bits: the platform computes at most {max(PIM_FJ_PER_MAC)}")


def pim_energy(macs: int, bits: int) -> float:
    """Return the energy of MACs on the paper's platform in pJ, without peripherals."""
    return macs * PIM_FJ_PER_MAC[pim_bits(bits)] / 1000


def analytical_energy(macs: int, memory_accesses: int, bits: int) -> float:
    """Return the energy by the paper's analytical estimate for 45 nm, in pJ.

    At k bits, a MAC takes 3.1 k / 32 + 0.1 pJ and a memory access 2.5 k pJ.
    """
    return macs * (3.1 * bits / 32 + 0.1) + memory_accesses * 2.5 * bits
