"""Published costs of a multiply-accumulate (MAC), by precision.

All of Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy Efficient
Neural Networks", DATE 2021, as far as its figures are known here: the table's 16-bit entry
reproduces the paper's energy of VGG19 (398,136,320 MACs, 110.15 uJ); the other entries and the
analytical formula are recalled and unchecked.
"""

BASELINE_BITS = 16
"""Precision of the network that reductions refer to."""

PIM_FJ_PER_MAC = {2: 2.942, 4: 16.968, 8: 66.714, 16: 276.676}
"""Energy of a MAC on the paper's processing-in-memory platform at 45 nm, in fJ, by precision."""


def pim_bits(bits: int) -> int:
    """Precision at which the platform computes ``bits``: the next of 2, 4, 8 and 16.

    Energies between these are not interpolated: the platform has no precision between them.
    """
    for width in PIM_FJ_PER_MAC:
        if bits <= width:
            return width
    raise ValueError(f"{bits} bits: the platform computes at most {max(PIM_FJ_PER_MAC)}")


def pim_energy(macs: int, bits: int) -> float:
    """Energy of MACs on the paper's platform, in pJ; peripherals are left out."""
    return macs * PIM_FJ_PER_MAC[pim_bits(bits)] / 1000


def analytical_energy(macs: int, memory_accesses: int, bits: int) -> float:
    """Energy by the paper's analytical estimate for 45 nm, in pJ.

    A MAC takes 3.1 k / 32 + 0.1 pJ and a memory access 2.5 k pJ at k bits.
    """
    return macs * (3.1 * bits / 32 + 0.1) + memory_accesses * 2.5 * bits
