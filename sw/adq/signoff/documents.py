"""Documents whose figures come from kept results, and whose names exist.

A generated section stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. Its text is
written from data in the repository by :mod:`adq.signoff.sections.document_sections`, and by nobody
else.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["DocumentError", "documents", "make_targets", "missing_names", "written"]

SECTION = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
BEGIN = re.compile(r"<!-- generated:")

FOLDERS = ("configs", "docs", "golden", "results", "rtl", "sw", "tests", "verif")
"""Folders whose paths must exist where documents name them."""

MADE = ("build/", "runs/", "data/")
"""Where runs leave files: they need not exist."""

MODULE = re.compile(r"`(adq(?:\.\w+)+)[`(]")
PLACEHOLDER = re.compile(r"[A-Z]{3,}")
FILE = re.compile(r"`([\w-]+\.(?:py|sv|cpp))`")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^|[`/ ])adq ((?:dev )?[a-z][a-z-]*)", re.MULTILINE)
TARGET = re.compile(r"(?:^|`)make ([a-z][a-z-]*)", re.MULTILINE)
CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)


class DocumentError(ValueError):
    """A document with a section that cannot be written, or that names what does not exist."""


def documents(root: Path) -> list[Path]:
    """Return the documents that are held to their data: README and the pages of ``docs/``."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def written(path: Path, sections: Mapping[str, Callable[[], Sequence[str]]]) -> str:
    """Return the text of a document with its generated sections as their data have them now.

    Parameters
    ----------
    sections
        Lines of each section, by name.

    Raises
    ------
    DocumentError
        If a section has no end, or a name that is not known.
    """
    text = path.read_text(encoding="utf-8")

    def section(found: re.Match) -> str:
        name = found[2]
        if name not in sections:
            known = ", ".join(sections)
            raise DocumentError(f"{path}: no section {name!r} is known: it must be one of {known}")
        body = "\n".join(sections[name]())
        return f"{found[1]}{body}\n{found[4]}"

    if len(SECTION.findall(text)) != len(BEGIN.findall(text)):
        raise DocumentError(f"{path}: a generated section has no end: close it with <!-- end -->")
    return SECTION.sub(section, text)


def missing_names(
    path: Path, root: Path, *, commands: Sequence[str], targets: Sequence[str]
) -> Iterator[str]:
    """Yield what a document names and is not there, a line each: modules and what they define,
    paths, links, commands of ``adq`` and targets of ``make``.
    """
    text = path.read_text(encoding="utf-8")
    for name in dict.fromkeys(MODULE.findall(text)):
        if not _defined(name, root):
            yield f"{path}: names {name}, which does not exist"
    for name in dict.fromkeys(PATH.findall(text)):
        if not (root / name).exists() and not PLACEHOLDER.search(name):
            yield f"{path}: names {name}, which does not exist"
    files = {file.name for folder in FOLDERS for file in (root / folder).rglob("*.*")}
    for name in dict.fromkeys(FILE.findall(text)):
        if name not in files:
            yield f"{path}: names {name}, which does not exist"
    for name in dict.fromkeys(LINK.findall(text)):
        if not (path.parent / name).exists() and not name.startswith(MADE):
            yield f"{path}: links to {name}, which does not exist"
    code = "\n".join(block or inline for block, inline in CODE.findall(text))
    for name in dict.fromkeys(COMMAND.findall(code)):
        if name not in commands:
            yield f"{path}: names the command adq {name}, which does not exist"
    for name in dict.fromkeys(TARGET.findall(code)):
        if name not in targets:
            yield f"{path}: names the target make {name}, which does not exist"


def make_targets(makefile: Path) -> list[str]:
    """Return the targets of a makefile that are no files."""
    text = makefile.read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        name for line in re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE) for name in line.split()
    ]


def _defined(name: str, root: Path) -> bool:
    """Return whether a dotted name is a module, or is defined in one."""
    parts = name.split(".")[1:]
    place = root / "sw" / "adq"
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").exists():
        place /= f"{parts.pop(0)}.py"
    else:
        place /= "__init__.py"
    if not parts:
        return place.exists() or place.parent.is_dir()
    return place.exists() and _defines(ast.parse(place.read_text(encoding="utf-8")), parts)


def _defines(tree: ast.AST, parts: Sequence[str]) -> bool:
    for node in tree.body:
        names = []
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if names == ["__all__"]:  # what is looked up when it is used
                names = ast.literal_eval(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.asname or alias.name for alias in node.names]
        if parts[0] in names:
            rest = parts[1:]
            return not rest or (isinstance(node, ast.ClassDef) and _defines(node, rest))
    return False
