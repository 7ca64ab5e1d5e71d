"""Evaluation of a point by the energy model, in any process."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adq.cost.sources import CostError, architecture_work, numbers
from adq.design_result import DesignResult
from adq.energy.coefficients import Coefficients, EnergyError, coefficients_for
from adq.energy.design_results import predicted_result
from adq.energy.network_energy import NetworkEnergy
from adq.energy.sources import architecture_energies, artifact_energy, result_energies
from adq.explore.axes import AXES
from adq.explore.outcome.means import mean_over_seeds
from adq.explore.platform_points import is_of_platform, platform_result
from adq.explore.space import ExploreError, Point
from adq.fields import ConfigError
from adq.golden.files.reading import FileError
from adq.golden.mapping.mapper import MappingError
from adq.golden.platform.planning.steps import PlanError
from adq.golden.samples import ArtifactError
from adq.models import ARCHITECTURES, ModelError
from adq.rtl.parameters import ParameterError, TileParameters
from adq.runs.results import read_result
from adq.shipped import ShippedFileError
from adq.verif.processes import Processes
from adq.verif.sources import PACKAGE

__all__ = ["Network", "Skipped", "accuracy_of", "evaluate", "key_of", "model_of", "tile_of"]

ROOMS = (
    *("cost", "data", "energy", "explore", "golden", "models", "rtl", "runs"),
    *("verif/operands", "verif/simulation"),
)
"""Folders whose code decides the figures of a point."""

REASONS = (
    ArtifactError,
    ConfigError,
    CostError,
    EnergyError,
    ExploreError,
    FileError,
    MappingError,
    ModelError,
    ParameterError,
    PlanError,
    ShippedFileError,
)
"""Errors of a point that cannot be built."""


@dataclass(frozen=True)
class Skipped:
    """A point that cannot be built, and why."""

    reason: str


@dataclass(frozen=True)
class Network:
    """A network of a space: a golden artifact, a kept result of training, or an architecture.

    Attributes
    ----------
    name : str
        As the space names it.
    path : Path or None
        Where it lies; None for an architecture.
    digest : str
        Hash of its content.
    """

    name: str
    path: Path | None
    digest: str

    @classmethod
    def find(cls, name: str, folder: Path) -> "Network":
        """Find the network that a space names.

        Raises
        ------
        ExploreError
            If there is none.
        """
        if name in ARCHITECTURES:
            return cls(name, None, name)
        path = (folder / name).resolve()
        content = path / "manifest.json" if path.is_dir() else path
        try:
            return cls(name, path, hashlib.sha256(content.read_bytes()).hexdigest())
        except OSError:
            raise ExploreError(
                f"network {name!r} is no golden artifact and no result in {folder}, and none of "
                f"the architectures {', '.join(ARCHITECTURES)}"
            ) from None

    @property
    def artifact(self) -> Path | None:
        """Folder of the artifact, if it is one."""
        return self.path if self.path is not None and self.path.is_dir() else None


def tile_of(values: Mapping[str, Any]) -> TileParameters:
    """Return the tile of a point.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    sizes = {axis.name for axis in AXES.values() if axis.part == "tile"}
    return TileParameters(**{name: value for name, value in values.items() if name in sizes})


@functools.lru_cache(maxsize=64)
def _known_model(library: str, folder: Path, tile: TileParameters) -> Coefficients:
    path = folder / library
    if path.suffix == ".json":
        return Coefficients.read(path).for_tile(tile)
    return coefficients_for(library, tile)


def model_of(values: Mapping[str, Any], folder: Path) -> Coefficients:
    """Return the energy model of a point.

    Raises
    ------
    ParameterError, EnergyError
        If there is no such tile, or nothing was characterized in its library.
    """
    library = values.get("library", AXES["library"].default)
    return _known_model(library, folder, tile_of(values))


def evaluate(
    programs: Processes, point: Point, networks: Sequence[Network], folder: Path
) -> DesignResult | Skipped:
    """Return what the energy model predicts of a point, or why it cannot be built.

    Parameters
    ----------
    networks
        The network of the point; or one for each of its seeds, and the result is their mean.
    """
    programs.check()
    values = point.values
    try:
        model = model_of(values, folder)
        results = [_predicted(values, network, model) for network in networks]
    except REASONS as error:
        return Skipped(str(error))
    return mean_over_seeds(results)


def _predicted(values: Mapping[str, Any], network: Network, model: Coefficients) -> DesignResult:
    if is_of_platform(values):
        result = platform_result(values, network.name, network.path, model)
        return replace(result, accuracy=accuracy_of(network))
    result = predicted_result(_energy(values, network, model), model)
    # Cells of the netlist that was characterized, not an estimate from other sizes.
    own = not model.scaled_from and not model.other_revisions
    return replace(
        result,
        network=network.name,
        point=values,
        accuracy=accuracy_of(network),
        area_um2=model.area_um2 if own else None,
    )


def accuracy_of(network: Network) -> float | None:
    """Return the share of the test images that a network classifies correctly, where it is known:
    by a result of training, or by an artifact of ``adq export``, whose integers were tested.
    """
    if network.path is None:
        return None
    if network.artifact is None:
        return float(read_result(network.path).mixed["accuracy"])
    manifest = json.loads((network.artifact / "manifest.json").read_bytes())
    accuracy = manifest["generator"].get("integer_accuracy")
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None


def _energy(values: Mapping[str, Any], network: Network, model: Coefficients) -> NetworkEnergy:
    """Return the energy of the network of a point."""
    images = values.get("images", 1)
    if images < 1:
        raise ExploreError(f"images is {images}: it must be at least 1")
    if network.path is None:
        return _architecture(values, network.name, model, images)
    for name, axis in AXES.items():
        if axis.part == "architecture" and name in values:
            raise ExploreError(
                f"{name} is of architectures, and {network.name} has its own: leave one out"
            )
    if network.artifact is not None:
        return artifact_energy(network.path, model, images)
    return result_energies(network.path, model, images)[0]


def _architecture(
    values: Mapping[str, Any], name: str, model: Coefficients, images: int
) -> NetworkEnergy:
    def value(axis: str) -> Any:
        return values.get(axis, AXES[axis].default)

    shape = numbers("input", value("input"), int)
    given = value("bits")
    bits = given if isinstance(given, list) else [given]
    if value("first_bits") is not None or value("last_bits") is not None:
        layers = architecture_work(name, input_shape=shape, classes=value("classes")).layers
        bits = list(bits) if len(bits) > 1 else bits * len(layers)
        bits[0] = value("first_bits") or bits[0]
        bits[-1] = value("last_bits") or bits[-1]
    work = architecture_work(name, input_shape=shape, classes=value("classes"), bits=bits)
    return architecture_energies(
        work,
        model,
        densities=[value("density")],
        weight_density=value("weight_density"),
        images=images,
    )[0]


@functools.cache
def _code() -> str:
    """Hash of the code and the coefficients that decide the figures of a point."""
    digest = hashlib.sha256(version("numpy").encode())
    for room in ROOMS:
        files = (PACKAGE / room).glob("**/*")
        for path in sorted(each for each in files if each.suffix in (".py", ".json", ".toml")):
            if "vectors" not in path.parts:
                digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def key_of(point: Point, networks: Sequence[Network], folder: Path) -> str:
    """Return the hash of all that the figures of a point follow from."""
    library = point.values.get("library", AXES["library"].default)
    file = folder / library
    coefficients = file.read_bytes() if file.suffix == ".json" and file.is_file() else b""
    digests = [network.digest for network in networks]
    parts = [point.text, *digests, _code(), hashlib.sha256(coefficients).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
