"""Switching activity interchange format (SAIF) 2.0: toggles and high time of every net.

One file is one window of one run. Written are nets by their path through the instances, each once;
read is what other tools write, too: ports as nets, names in any case of escape, groups that say
nothing of toggles passed over.

Source: IEEE 1801, annex I, backward SAIF.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from adq.golden.files.writing import write_text

__all__ = ["NetActivity", "Saif", "SaifError", "read_saif", "write_saif"]

Path_ = tuple[str, ...]

_TOKEN = re.compile(r'(?:\s|//[^\n]*)*(?:([()])|"([^"]*)"|((?:\\.|[^\s()"\\])+))')
_SPECIAL = re.compile(r"[^A-Za-z0-9_]")
_TIMESCALE = re.compile(r"(1|10|100)(s|ms|us|ns|ps|fs)")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}


class SaifError(ValueError):
    """The file is no SAIF, or does not match the design or the window that it is read for."""


@dataclass(frozen=True)
class NetActivity:
    """Activity of a net in a window.

    Attributes
    ----------
    high : int
        Time at one, in units of the file's timescale. The rest of the window it was at zero.
    toggles : int
        Changes from zero to one and back.
    """

    high: int
    toggles: int


@dataclass(frozen=True)
class Saif:
    """Activity of a design in a window.

    Attributes
    ----------
    design : str
        Name of the design, which is the outermost instance.
    duration : int
        Length of the window, in units of ``timescale``.
    nets : mapping of tuple of str to NetActivity
        By path: the instances below the design, then the net's own name, with its index in
        brackets where it is a bit of a vector.
    timescale : str
        Such as ``1 ns``.
    """

    design: str
    duration: int
    nets: Mapping[Path_, NetActivity]
    timescale: str = "1 ns"

    @property
    def seconds(self) -> float:
        """Length of the window in seconds."""
        match = _TIMESCALE.fullmatch(self.timescale.replace(" ", ""))
        if match is None:
            raise SaifError(f"time scale {self.timescale[:40]!r}: write it as 1 ns")
        return self.duration * int(match[1]) * _SECONDS[match[2]]


def write_saif(path: Path, saif: Saif) -> None:
    """Write the activity of a window.

    Raises
    ------
    SaifError
        If a name cannot stand in SAIF: it is empty or begins with ``$``, at which readers stop.
    """
    lines = [
        "(SAIFILE",
        '(SAIFVERSION "2.0")',
        '(DIRECTION "backward")',
        f'(DESIGN "{saif.design}")',
        '(VENDOR "adq")',
        '(PROGRAM_NAME "adq")',
        f'(VERSION "{version("adq")}")',
        "(DIVIDER / )",
        f"(TIMESCALE {saif.timescale})",
        f"(DURATION {saif.duration})",
        f"(INSTANCE {_escaped(saif.design)}",
    ]
    tree = _Instance()
    for net in saif.nets:
        place = tree
        for instance in net[:-1]:
            place = place.instances.setdefault(instance, _Instance())
        place.nets.append(net)
    lines += _instance(saif, tree, " ")
    lines += [")", ")", ""]
    write_text(path, "\n".join(lines))


@dataclass
class _Instance:
    """Nets of an instance, and the instances in it."""

    nets: list[Path_] = field(default_factory=list)
    instances: dict[str, "_Instance"] = field(default_factory=dict)


def _instance(saif: Saif, tree: _Instance, indent: str) -> Iterator[str]:
    """Yield the lines of an instance: its nets, and the instances in it."""
    if tree.nets:
        yield f"{indent}(NET"
        for net in tree.nets:
            activity = saif.nets[net]
            low = saif.duration - activity.high
            yield (
                f"{indent} ({_escaped(net[-1])} (T0 {low}) (T1 {activity.high}) (TX 0) "
                f"(TC {activity.toggles}) (IG 0))"
            )
        yield f"{indent})"
    for instance, below in tree.instances.items():
        yield f"{indent}(INSTANCE {_escaped(instance)}"
        yield from _instance(saif, below, indent + " ")
        yield f"{indent})"


def _escaped(name: str) -> str:
    if not name or name.startswith("$"):
        raise SaifError(f"net {name!r} has no name that SAIF allows: name it in the design")
    return _SPECIAL.sub(r"\\\g<0>", name)


def read_saif(
    path: Path, *, design: str | None = None, nets: Collection[Path_] | None = None
) -> Saif:
    """Read the activity of a window, which must be that of ``design`` and hold all of ``nets``, if
    given.

    Raises
    ------
    SaifError
        If the file is no SAIF, is cut short, is of another design, or its window is empty. The
        message has path and line.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        saif = _Reader(text).saif()
        if design is not None and saif.design != design:
            raise SaifError(f"is of design {saif.design}, not of {design}: simulate that one")
        if nets is not None:
            _check_nets(saif, set(nets))
    except SaifError as error:
        raise SaifError(f"{path}: {error}") from None
    return saif


def _check_nets(saif: Saif, nets: set[Path_]) -> None:
    missing, foreign = nets - saif.nets.keys(), saif.nets.keys() - nets
    if missing or foreign:
        example = "/".join(min(missing or foreign))
        raise SaifError(
            f"has {len(nets) - len(missing)} of {len(nets)} nets of {saif.design}, and "
            f"{len(foreign)} others, such as {example}: it is of another {saif.design}, simulate "
            "this one"
        )


class _Reader:
    """Parser of the single expression of a SAIF text."""

    def __init__(self, text: str):
        self.text = text
        self.at = 0
        self.header: dict[str, str] = {}
        self.nets: dict[Path_, NetActivity] = {}

    def saif(self) -> Saif:
        if self._next() != "(" or self._next().upper() != "SAIFILE":
            raise SaifError("is no SAIF: it does not begin with (SAIFILE")
        instances: list[str] = []
        while self._next() == "(":
            keyword = self._next().upper()
            if keyword == "INSTANCE":
                instances.append(self._instance(()))
            else:
                self.header[keyword] = " ".join(self._skip())
        for keyword in ("SAIFVERSION", "TIMESCALE", "DURATION"):
            if keyword not in self.header:
                raise SaifError(f"has no ({keyword} ...): export it again")
        if self.header.get("DIRECTION", "backward").lower() != "backward":
            raise SaifError("is forward SAIF, which holds no counts: give backward SAIF")
        timescale = self.header["TIMESCALE"]
        if not _TIMESCALE.fullmatch(timescale.replace(" ", "")):
            raise SaifError(f"has the timescale {timescale!r}: it must be such as 1 ns")
        duration = self._whole(self.header["DURATION"], "DURATION")
        if duration == 0:
            raise SaifError("its window is empty, (DURATION 0): dump after the window, not before")
        if len(instances) != 1:
            raise SaifError(f"has {len(instances)} outermost instances, not one")
        for net, activity in self.nets.items():
            if activity.high > duration:
                raise SaifError(f"{'/'.join(net)} is at one for {activity.high} of {duration}")
        design = self.header.get("DESIGN") or instances[0]
        return Saif(design, duration, self.nets, timescale)

    def _instance(self, path: Path_) -> str:
        """Return an instance whose nets are below ``path``; its name. The outermost one is no part
        of paths.
        """
        name = self._next()
        # As in (INSTANCE "module" name ...).
        if self._peek() not in "()":
            name = self._next()
        while self._open():
            keyword = self._next().upper()
            if keyword == "INSTANCE":
                self._instance((*path, self._peek_name()))
            elif keyword in ("NET", "PORT"):
                while self._open():
                    self._net(path)
            else:
                self._skip()
        return name

    def _peek_name(self) -> str:
        at = self.at
        name = self._next()
        if self._peek() not in "()":
            name = self._next()
        self.at = at
        return name

    def _net(self, path: Path_) -> None:
        name = self._next()
        values: dict[str, int] = {}
        while self._open():
            keyword = self._next().upper()
            if keyword in ("T1", "TC"):
                values[keyword] = self._whole(self._next(), keyword)
                self._close()
            else:
                self._skip()
        net = (*path, name)
        if "TC" not in values or "T1" not in values:
            raise self._error(f"net {name} has no T1 or no TC")
        if net in self.nets:
            raise self._error(f"net {'/'.join(net)} is there twice")
        self.nets[net] = NetActivity(high=values["T1"], toggles=values["TC"])

    def _open(self) -> bool:
        """Return whether another group begins; otherwise the one around it has ended."""
        token = self._next()
        if token not in ("(", ")"):
            raise self._error(f"{token[:40]!r} stands where a group must begin or end")
        return token == "("

    def _close(self) -> None:
        token = self._next()
        if token != ")":
            raise self._error(f"{token[:40]!r} stands where a group must end")

    def _skip(self) -> list[str]:
        """Go behind the end of the group; what stood in it."""
        depth = 1
        tokens: list[str] = []
        while True:
            token = self._next()
            depth += {"(": 1, ")": -1}.get(token, 0)
            if not depth:
                return tokens
            tokens.append(token)

    def _whole(self, token: str, what: str) -> int:
        if not token.isdecimal():
            raise self._error(f"{what} is {token[:40]!r}, not a whole number")
        return int(token)

    def _peek(self) -> str:
        at = self.at
        token = self._next()
        self.at = at
        return token

    def _next(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            if self.text[self.at :].strip():
                raise self._error("a name or a string has no end")
            raise self._error("ends in the middle: the file is cut short")
        self.at = match.end()
        bracket, string, word = match.groups()
        if bracket or string is not None:
            return bracket or string
        return re.sub(r"\\(.)", r"\1", word) if "\\" in word else word

    def _error(self, message: str) -> SaifError:
        return SaifError(f"line {self.text.count(chr(10), 0, self.at) + 1}: {message}")
