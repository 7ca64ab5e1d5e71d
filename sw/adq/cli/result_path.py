"""Path of the result file of an artifact."""

from pathlib import Path

__all__ = ["result_path"]


def result_path(artifact: Path, out: Path) -> Path:
    """Return the path of an artifact's result file below ``out``, and create its folder.

    The path includes the artifact's folders, so artifacts of the same name in different folders
    have separate result files.
    """
    place = artifact.resolve()
    root = Path.cwd() if place.is_relative_to(Path.cwd()) else Path(place.anchor)
    place = place.relative_to(root)
    path = out / place.parent / f"{place.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
