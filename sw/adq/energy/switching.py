"""Energy of counted switching: toggles and clocked bits times the energy of each."""

import tomllib
from dataclasses import dataclass
from importlib import resources

__all__ = ["SwitchingEnergy", "WindowEnergy"]


@dataclass(frozen=True)
class WindowEnergy:
    """Energy in pJ by the window that it belongs to.

    Attributes
    ----------
    compute, load : float
        Of computing, and of loading weights.
    blocks : dict of str to float
        Of each block.
    """

    compute: float
    load: float
    blocks: dict[str, float]


@dataclass(frozen=True)
class SwitchingEnergy:
    """Energy a toggle, by block.

    Attributes
    ----------
    name, node : str
        What the figures are, and of which process and corner.
    clocked : float
        fJ of a register bit whose clock is enabled for a cycle.
    toggles, toggles_per_column : dict of str to float
        fJ of a toggle in a block; those of the second grow with the tile's columns.
    load, left_out : list of str
        Blocks that switch because weights load, and blocks that are not counted.
    """

    name: str
    node: str
    clocked: float
    toggles: dict[str, float]
    toggles_per_column: dict[str, float]
    load: list[str]
    left_out: list[str]

    @classmethod
    def estimate(cls) -> "SwitchingEnergy":
        """The estimate that comes with the package; its file gives source and arithmetic."""
        file = resources.files("adq.energy") / "nangate45_estimate.toml"
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        return cls(**table.pop("windows"), **table)

    def toggle(self, block: str, columns: int) -> float:
        """Energy in fJ of a toggle in a block of a tile with so many columns.

        Raises
        ------
        KeyError
            If the block has no figure: nothing is counted at a silent default.
        """
        if block in self.toggles_per_column:
            return self.toggles_per_column[block] * columns
        return self.toggles[block]

    def of(self, switching: dict[str, dict[str, int]], *, columns: int) -> WindowEnergy:
        """Energy of counts, block -> {"toggles", "clocked"}, on a tile of so many columns."""
        blocks = {
            block: (
                counts["toggles"] * self.toggle(block, columns) + counts["clocked"] * self.clocked
            )
            / 1000
            for block, counts in switching.items()
            if block not in self.left_out
        }
        load = sum(energy for block, energy in blocks.items() if block in self.load)
        return WindowEnergy(compute=sum(blocks.values()) - load, load=load, blocks=blocks)

    def of_layers(self, simulation: dict) -> list[WindowEnergy]:
        """Energy of each layer that ``simulate`` ran, of all images."""
        columns = simulation["tile"]["columns"]
        return [self.of(layer["switching"], columns=columns) for layer in simulation["layers"]]
