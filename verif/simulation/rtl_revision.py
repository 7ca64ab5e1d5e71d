"""Revision of each block's RTL: a hash that changes only with the logic of the block."""

import functools
import hashlib
import re
from collections.abc import Mapping

from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component
from adq.rtl.tile import Tile
from adq.rtl.verilog import ELABORATION, to_rtlil
from adq.verif.simulation.switching.net_classes import BLOCKS, block_of

__all__ = ["REFERENCES", "block_revisions", "numbered", "tile_revisions"]

REFERENCES = ((16, 16), (34, 32))
"""Rows and columns of tiles whose blocks are compared, whatever the size of the tile at hand: the
revision is that of the source. The second has what the first has not: several rows in a beat,
several groups of columns, adders of odd counts."""

_MODULE = re.compile(r"^module \\(\S+)\n(.*?)^end\n", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\bport\$\d+\$\d+")
_WIRE = re.compile(r"^  wire .*\\(\S+)$", re.MULTILINE)


def block_revisions(
    component: Component, name: str, blocks: Mapping[str, str] = BLOCKS
) -> dict[str, str]:
    """Return the sha256 of the modules in which each block of a design has nets, as Amaranth's
    RTLIL.

    It has neither comments nor places in the source. A module with nets of several blocks counts
    for each of them; for the last block, which takes what no other has, only modules of its own do.
    """
    with ELABORATION:
        text = to_rtlil(component, name=name)
    last = list(blocks)[-1]
    modules: dict[str, list[str]] = {block: [] for block in blocks}
    for path, body in _MODULE.findall(text):
        prefix = path.removeprefix(name).lstrip(".")
        names = (f"{prefix}.{wire}" if prefix else wire for wire in _WIRE.findall(body))
        found = {block_of(each, blocks) for each in names}
        for block in found - {last} or found:
            modules[block].append(f"{path}\n{numbered(body)}")
    return {
        block: hashlib.sha256("".join(sorted(texts)).encode()).hexdigest()
        for block, texts in modules.items()
        if texts
    }


def numbered(body: str) -> str:
    """Renumber the unconnected ports of a module: Amaranth numbers them by their position in the
    whole design.
    """
    numbers: dict[str, str] = {}
    return _PORT.sub(lambda found: numbers.setdefault(found[0], f"port${len(numbers)}"), body)


@functools.cache
def tile_revisions(arithmetic: str = TileParameters.arithmetic) -> Mapping[str, str]:
    """Return the revisions of the tile's blocks as the source has them now, at all of
    ``REFERENCES``, with one of the ``ARITHMETICS``; see :func:`block_revisions`.
    """
    tiles = (
        TileParameters(
            rows=rows, columns=columns, row_blocks=1, partial_sums=0, arithmetic=arithmetic
        )
        for rows, columns in REFERENCES
    )
    found = [block_revisions(Tile(each), "tile") for each in tiles]
    return {
        block: hashlib.sha256("".join(each[block] for each in found).encode()).hexdigest()
        for block in found[0]
    }
