"""Published silicon to hold the tile's energy against.

Colonnade (Kim et al., "Colonnade: A reconfigurable SRAM-based digital bit-serial compute-in-memory
macro for processing neural networks", JSSC 2021): 128x128 bit cells, 65 nm, measured at 0.8 V, as
tabulated in CiMLoop's model ``colonnade_jssc_2021``.
"""

__all__ = ["COLONNADE", "COLONNADE_FJ_PER_MAC", "colonnade_energy"]

COLONNADE = "Colonnade, 65 nm, 0.8 V, silicon"

COLONNADE_FJ_PER_MAC = {1: 68.1, 2: 161.6, 4: 423.4, 8: 1169.7, 16: 3995.0}
"""Energy of a MAC, by bits of weight and activation, in fJ."""


def colonnade_energy(macs: int, bits: int) -> float:
    """Return the energy of MACs in fJ; bits between those of the table are rounded up to the
    next.
    """
    width = min(width for width in COLONNADE_FJ_PER_MAC if width >= bits)
    return macs * COLONNADE_FJ_PER_MAC[width]
