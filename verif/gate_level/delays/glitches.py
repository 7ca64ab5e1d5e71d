"""Energy of a netlist's switching with glitches, beside the energy without delays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from adq.verif.gate_level.delays.event_simulation import EventCounts, EventSimulation
from adq.verif.gate_level.power import CellEnergy, PowerModel
from adq.verif.gate_level.switching import Counts

__all__ = ["GlitchEnergy", "delayed_energy", "glitch_energy"]


@dataclass(frozen=True)
class GlitchEnergy:
    """Energy of the same cycles without and with delays.

    Attributes
    ----------
    zero_delay, delayed : fJ by block, without leakage
    toggles_zero_delay, toggles_delayed : of all nets but clocks'
    settled_ns : when the last net came to rest in any cycle
    cycles : clock edges
    """

    zero_delay: dict[str, float]
    delayed: dict[str, float]
    toggles_zero_delay: int
    toggles_delayed: int
    settled_ns: float
    cycles: int

    @property
    def factor(self) -> float:
        """Energy with glitches over the energy without."""
        return sum(self.delayed.values()) / sum(self.zero_delay.values())


def glitch_energy(
    simulation: EventSimulation, recording: np.ndarray, spans: Iterable[tuple[int, int]]
) -> GlitchEnergy:
    """Return the energy of some cycles of a recording, simulated again with delays.

    Clocks, outputs of flip-flops and what happens inside their clocked parts are the same; nets
    and the inside of combinational cells take what they do with delays, and so do data pins.
    """
    spans = list(spans)
    counts = simulation.switching.count_spans(recording, spans)
    events = simulation.count(recording, spans)
    power = simulation.power
    zero = power.energy(counts).blocks
    delayed = power.by_block(delayed_energy(power, counts, events), counts.cycles).blocks
    clocks = [simulation.switching.row[net] for net in simulation.switching.clocks]
    toggles = counts.toggles.copy()
    toggles[clocks] = 0
    return GlitchEnergy(
        zero,
        dict.fromkeys(zero, 0.0) | delayed,
        int(toggles.sum()),
        int(events.toggles.sum()),
        events.settled_ns,
        counts.cycles,
    )


def delayed_energy(power: PowerModel, counts: Counts, events: EventCounts) -> CellEnergy:
    """Return the energy of cycles that were simulated again with delays, cell by cell.

    Parameters
    ----------
    counts
        Of these cycles without delays.
    events
        Of the same cycles with delays.
    """
    found = power.of_cells(counts)
    internal = events.energy.copy()
    for kind, energies, changes in zip(
        power.switching.kinds, power.energies, counts.changes, strict=True
    ):
        chosen = [
            number
            for number, event in enumerate(kind.events.events)
            if kind.events.clock and event.output_pin and not event.clock
        ]
        if chosen:
            weights = np.array([kind.events.events[number].weights for number in chosen]).T
            internal[kind.instances] += ((changes @ weights) * energies[:, chosen]).sum(axis=1)
    switching, outside = power.of_nets(events.toggles)
    return replace(found, internal=internal, switching=switching, outside=outside)
