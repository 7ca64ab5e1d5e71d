"""Activity of every pin of a netlist, for power analyzers: SAIF, instance by instance."""

from adq.verif.gate_level.switching import Counts, Switching
from adq.verif.simulation.switching.saif import NetActivity, Saif
from adq.verif.synthesis.netlist import Net

__all__ = ["pin_activity"]


def pin_activity(switching: Switching, counts: Counts, *, period_ns: float) -> Saif:
    """Return every pin of every instance, and the bits of every port, over the cycles counted.

    Analyzers look pins up below their instance, not nets. In picoseconds, since a clock is high for
    half of its period.
    """
    period = round(period_ns * 1000)
    clocks = {switching.row[net] for net in switching.clocks}
    duration = counts.cycles * period

    def activity(net: Net) -> NetActivity:
        if not isinstance(net, int):
            return NetActivity(duration if net == "1" else 0, 0)
        row = switching.row[net]
        high = int(counts.ones[row]) * period // (2 if row in clocks else 1)
        return NetActivity(high, int(counts.toggles[row]))

    nets: dict[tuple[str, ...], NetActivity] = {}
    for name, (_, bits) in switching.netlist.ports.items():
        for index, net in enumerate(bits):
            nets[(f"{name}[{index}]" if len(bits) > 1 else name,)] = activity(net)
    for instance in switching.netlist.instances:
        for pin, net in instance.pins.items():
            nets[instance.name, pin] = activity(net)
    return Saif(switching.netlist.name, duration, nets, timescale="1 ps")
