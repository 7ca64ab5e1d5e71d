"""Modules of a Verilog design that are the same, written once."""

import re
from collections.abc import Mapping

__all__ = ["share_modules"]

MODULE = re.compile(r"^module (\\?\S+)", re.MULTILINE)

END = "\nendmodule\n"

NUMBERED = re.compile(r"(?<!\.)\\\S*\$\d\S*(?=\s)")
"""A name, but not that of an instance's port, to which Amaranth or Yosys has added a number, since
it has no name or another one has the same. The numbers count names of the whole design."""

NUMBER = re.compile(r"\$\d+")

DECLARATION = re.compile(r"^  (?:input|output|wire|reg) .*;\n", re.MULTILINE)

INSTANCE = re.compile(r"^  (\\?\S+)( +\\?\S+ +\(\n)(.*?)^  \);", re.MULTILINE | re.DOTALL)


def share_modules(verilog: str) -> str:
    """Return a design whose modules with the same text are one module.

    Amaranth writes a module for each component, so that blocks of a kind, such as the tiles of a
    platform, are as many modules of the same text. The module that stands first keeps its name.
    Names of instances and signals do not change, but for numbers that were added to them.

    Parameters
    ----------
    verilog
        Verilog as Yosys writes it.

    """
    texts = {}
    *parts, rest = verilog.split(END)
    for part in parts:
        found = MODULE.search(part)
        if found is None:
            raise ValueError("the Verilog has an endmodule without a module")
        texts[found[1]] = part + END
    renamed: dict[str, dict[str, str]] = {}  # by module: its numbered names
    first_of: dict[tuple[str, ...], str] = {}  # by text
    kept: dict[str, str] = {}  # by name of a module: the name of the one that is the same

    def keep(name: str) -> str:
        if name in kept:
            return kept[name]

        def instance(found: re.Match[str]) -> str:
            if found[1] not in texts:
                return found[0]
            module = keep(found[1])
            ports = re.sub(
                r"^    \.(\\\S+)",
                lambda port: f"    .{renamed[found[1]].get(port[1], port[1])}",
                found[3],
                flags=re.MULTILINE,
            )
            return f"  {module}{found[2]}{ports}  );"

        header, begin, inside = texts[name].partition(f"module {name}")
        renamed[name] = _renumbered(inside, texts)
        inside = NUMBERED.sub(lambda found: renamed[name].get(found[0], found[0]), inside)
        inside = INSTANCE.sub(instance, inside)
        texts[name] = header + begin + inside
        kept[name] = first_of.setdefault(_unordered(inside), name)
        return kept[name]

    return "".join(texts[name] for name in texts if keep(name) == name) + rest


def _renumbered(text: str, modules: Mapping[str, str]) -> dict[str, str]:
    """Return names of signals in a module with numbers in the order in which they stand there,
    declarations last.
    """
    found: dict[str, str] = {}
    for part in reversed(_unordered(text)):
        for name in NUMBERED.finditer(part):
            if name[0] not in modules and name[0] not in found:
                found[name[0]] = f"{NUMBER.sub('', name[0])}${len(found)}"
    return found


def _unordered(text: str) -> tuple[str, ...]:
    """Return the ports, the declarations and the rest of a module; the order of ports follows from
    the design around it.
    """
    ports, _, body = text.partition(");\n")
    declarations = sorted(DECLARATION.findall(body))
    names = sorted(ports.replace("(", " ").replace(",", " ").split())
    return " ".join(names), "".join(declarations), DECLARATION.sub("", body)
