"""Verilog that other projects' tools read without a warning."""

import re
import tempfile
from pathlib import Path

from adq.rtl.port_types import Component
from adq.rtl.shared_modules import share_modules
from adq.rtl.verilog import ELABORATION, to_rtlil
from adq.verif.synthesis.mapping import yosys

__all__ = ["WAIVERS", "portable_verilog"]

WAIVERS = {
    "DECLFILENAME": "one file holds all modules",
    "UNUSEDSIGNAL": "carries beyond the bits in use, and ports that a small size leaves idle",
    "UNOPTFLAT": "parts of one vector feed other parts of it; no bit depends on itself",
}
"""Rules of Verilator's lint that the Verilog does not keep, and why."""

SCRIPT = """
read_rtlil design.il
hierarchy -top {name}
delete w:$verilog_initial_trigger
proc -norom
setattr -unset init */w:*
delete */t:$meminit*
memory_collect
pmuxtree
opt_expr -full
opt_clean -purge
techmap -map widths.v
opt_clean -purge
check -assert
write_verilog -noattr -norename design.v
"""

WIDTHS = Path(__file__).with_name("widths.v")


def portable_verilog(component: Component, *, name: str) -> str:
    """Return the Verilog (1364-2005) of a component and its submodules, for other tools.

    It has no initial values, so that all state comes from the reset alone, as in silicon. Operands
    of an operator have one width. Modules are named ``NAME`` and ``NAME_SUBMODULE``; those that
    are the same are one. What lint
    tools still report is waived by name at the head, with the reason; see ``WAIVERS``. Tables stay
    cases: as memories they would be initial values.

    Raises
    ------
    adq.verif.synthesis.mapping.SynthesisError
        If Yosys cannot be run, or finds a loop or an undriven net.

    """
    with ELABORATION:
        source = to_rtlil(component, name=name)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "design.il").write_text(source)
        (directory / "widths.v").write_text(WIDTHS.read_text())
        yosys(directory, SCRIPT.format(name=name), f"write Verilog of {name}")
        text = (directory / "design.v").read_text()
    _, _, modules = text.partition("\n")  # the first line is Yosys' version
    return _head() + _plain_module_names(share_modules(modules), name).lstrip()


def _head() -> str:
    # A time scale for all files of a project, or for none: the testbench has one.
    lines = [f"/* verilator lint_off {rule} */ // {reason}" for rule, reason in WAIVERS.items()]
    return "\n".join([*lines, "", "`timescale 1ns / 1ps", "", ""])


def _plain_module_names(text: str, name: str) -> str:
    r"""Return Verilog whose modules ``\NAME.a.b`` are ``NAME_a_b``."""
    modules = re.findall(rf"^module \\({re.escape(name)}[.\w]*) \(", text, re.MULTILINE)
    plain = {module: module.replace(".", "_") for module in modules}
    taken = set(re.findall(r"^module (\w+)\(", text, re.MULTILINE))
    if len({*plain.values(), *taken}) != len(plain) + len(taken):
        raise ValueError(f"modules of {name} have names that differ in dots alone")
    return re.sub(
        rf"^(module |  )\\({re.escape(name)}[.\w]*) ",
        lambda found: f"{found[1]}{plain.get(found[2], found[2])} ",
        text,
        flags=re.MULTILINE,
    )
