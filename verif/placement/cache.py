"""Placed designs kept by the hash of all that they depend on."""

import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.placement.floorplan import Floorplan
from adq.verif.placement.geometry import Geometry
from adq.verif.placement.placed import (
    DEFAULT_OPTIONS,
    PlacedDesign,
    PlaceOptions,
    place,
    restored,
)
from adq.verif.placement.placer import Placement, netlist_digest
from adq.verif.synthesis.netlist import Net, Netlist

__all__ = ["place_cached"]

FILE = "placed.json.gz"


def place_cached(
    netlist: Netlist,
    library: Library,
    geometry: Geometry,
    *,
    clock: str,
    cache: Path,
    options: PlaceOptions = DEFAULT_OPTIONS,
    weights: dict[Net, float] | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> PlacedDesign:
    """Place a netlist as :func:`place` does, or read the result of the same from a folder.

    Raises
    ------
    PlacementError
        As :func:`place`.
    """
    digest = _digest(netlist, library, geometry, options, weights)
    directory = cache / f"{netlist.name}-{digest[:16]}"
    if directory.exists():
        with gzip.open(directory / FILE, "rt") as file:
            content = json.load(file)
        ports = {(name, bit): (x, y) for name, bit, x, y in content["ports"]}
        plan = Floorplan(geometry, content["rows"], content["sites"], ports)
        full = Netlist.from_json(content["netlist"])
        placement = Placement(
            plan, netlist_digest(full), np.array(content["site"]), np.array(content["row"])
        )
        placement.check(full)
        return restored(full, placement, library, clock, options)
    design = place(
        netlist,
        library,
        geometry,
        clock=clock,
        options=options,
        weights=weights,
        progress=progress,
    )
    _keep(design, directory)
    return design


def _digest(
    netlist: Netlist,
    library: Library,
    geometry: Geometry,
    options: PlaceOptions,
    weights: dict[Net, float] | None,
) -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    rooms = (
        folder / "placement",
        folder / "placement" / "clock",
        folder / "synthesis",
        folder / "synthesis" / "clock",
        folder / "liberty",
    )
    own = sorted(path for room in rooms for path in room.glob("*.py"))
    weighted = sorted((weights or {}).items(), key=str)
    for text in (
        netlist_digest(netlist).encode(),
        library.digest.encode(),
        geometry.digest.encode(),
        repr((options, weighted, version("coloquinte"))).encode(),
        *(path.read_bytes() for path in own),
    ):
        digest.update(hashlib.sha256(text).digest())
    return digest.hexdigest()


def _keep(design: PlacedDesign, directory: Path) -> None:
    plan = design.placement.floorplan
    content = {
        "rows": plan.rows,
        "sites": plan.sites,
        "ports": [[name, bit, x, y] for (name, bit), (x, y) in plan.ports.items()],
        "netlist": design.full.to_json(design.library),
        "site": design.placement.site.tolist(),
        "row": design.placement.row.tolist(),
    }
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".placement-", dir=directory.parent))
    try:
        with gzip.open(scratch / FILE, "wt", compresslevel=1) as file:
            json.dump(content, file)
        scratch.rename(directory)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if not directory.exists():  # otherwise another process was first with the same content
            raise
