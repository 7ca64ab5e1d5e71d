"""Published compute-in-memory silicon, and this project's tile beside it on equal terms."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adq.energy.coefficients import EnergyError
from adq.energy.glitches import GlitchFactors
from adq.golden.files.reading import FileError
from adq.golden.files.toml_reader import read_toml

__all__ = ["OWN_VOLTAGES", "OperatingPoint", "TilePoint", "read_silicon", "silicon", "tile_points"]

FILE = Path(__file__).with_name("silicon.toml")

OWN_VOLTAGES = (1.1, 0.95, 0.8, 0.6)
"""The tile's voltage, and those to which its energy is scaled by their squares."""

KINDS = ("measured", "simulated")

OPS = 2
"""Operations of a MAC, as TOPS count them."""


@dataclass(frozen=True)
class OperatingPoint:
    """A macro at one voltage.

    Attributes
    ----------
    voltage : V, or None where it is not known
    kind : ``measured`` or ``simulated``
    operands : sparsity and toggle rate, as far as known
    fj_per_mac : by bits of weight and activation
    trust : where the figure was read
    """

    name: str
    reference: str
    node_nm: int
    kind: str
    trust: str
    fj_per_mac: Mapping[int, float]
    voltage: float | None = None
    operands: str = "not known"

    def fj_per_bit_product(self, bits: int) -> float:
        """Return the energy of a MAC over its bit products, in fJ."""
        return self.fj_per_mac[bits] / bits**2

    def tops_per_watt(self, bits: int) -> float:
        """Return the efficiency, a MAC counted as two operations."""
        return OPS * 1000 / self.fj_per_mac[bits]

    def scaled(self, bits: int, *, node_nm: int, voltage: float) -> float | None:
        """Return the energy of a MAC in another node and at another voltage, in fJ: capacitance
        proportional to the feature size, energy to the voltage's square. None where the voltage is
        not known.
        """
        if self.voltage is None:
            return None
        return self.fj_per_mac[bits] * node_nm / self.node_nm * (voltage / self.voltage) ** 2


def read_silicon(path: Path) -> tuple[OperatingPoint, ...]:
    """Read operating points from a TOML file.

    Raises
    ------
    EnergyError
        If the file is damaged, or a point lacks a key or has one that is not known.
    """
    try:
        tables = read_toml(path)["point"]
    except (FileError, KeyError) as error:
        raise EnergyError(f"{path}: is no list of operating points: {error}") from None
    points = []
    for number, table in enumerate(tables, 1):
        efficiency = table.pop("tops_per_watt", None)
        try:
            if efficiency is not None:
                table["fj_per_mac"] = {b: OPS * 1000 / each for b, each in efficiency.items()}
            energies = {int(bits): float(each) for bits, each in table.pop("fj_per_mac").items()}
            point = OperatingPoint(fj_per_mac=energies, **table)
        except (KeyError, TypeError, ValueError) as error:
            raise EnergyError(f"{path}: point {number}: {error}") from None
        if point.kind not in KINDS:
            raise EnergyError(f"{path}: point {number}: kind must be one of {', '.join(KINDS)}")
        points.append(point)
    return tuple(points)


@functools.cache
def silicon() -> tuple[OperatingPoint, ...]:
    """Return the points that come with the package."""
    return read_silicon(FILE)


@dataclass(frozen=True)
class TilePoint:
    """The project's tile at a voltage; energies by bits in fJ a MAC, with glitches."""

    voltage: float
    scaled: bool
    fj_per_mac: Mapping[int, float]


def tile_points(factors: GlitchFactors) -> tuple[TilePoint, ...]:
    """Return the tile at its library's voltage, and by the voltage's square at others."""
    energies = {each.weight_bits: sum(each.delayed.values()) for each in factors.figures}
    return tuple(
        TilePoint(
            voltage,
            voltage != factors.voltage,
            {bits: each * (voltage / factors.voltage) ** 2 for bits, each in energies.items()},
        )
        for voltage in OWN_VOLTAGES
    )
