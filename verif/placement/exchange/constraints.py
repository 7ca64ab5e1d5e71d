"""SDC of a placed design: the assumptions of its static timing."""

from adq.verif.liberty.library import Library
from adq.verif.placement.wires import output_load
from adq.verif.synthesis.netlist import Netlist

__all__ = ["to_sdc"]


def to_sdc(
    netlist: Netlist, library: Library, *, clock: str, period: float, port_delay: float
) -> str:
    """Return the constraints that static timing takes, in ns and fF.

    Parameters
    ----------
    port_delay
        ns after the clock's edge at its port at which inputs change and outputs are taken: the
        insertion delay, as if registers on the same tree stood behind the ports.
    """
    slew = min(library.max_transition, 1.0) / 8
    inputs = [
        f"{name}[{bit}]" if len(bits) > 1 else name
        for name, (direction, bits) in netlist.ports.items()
        for bit in range(len(bits))
        if direction == "input" and name != clock
    ]
    ports = " ".join(f"{{{name}}}" for name in inputs)
    return "\n".join(
        [
            "set_units -time ns -capacitance fF",
            f"create_clock -name {clock} -period {period:g} [get_ports {clock}]",
            f"set_propagated_clock [get_clocks {clock}]",
            f"set_input_transition {slew:g} [all_inputs]",
            f"set_input_delay {port_delay:.6g} -clock {clock} [get_ports [list {ports}]]",
            f"set_output_delay {-port_delay:.6g} -clock {clock} [all_outputs]",
            f"set_load {output_load(library):g} [all_outputs]",
            "",
        ]
    )
