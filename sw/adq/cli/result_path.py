"""Where the result about an artifact goes."""

from pathlib import Path

__all__ = ["result_path"]


def result_path(artifact: Path, out: Path) -> Path:
    """Return one file an artifact below ``out``, in a folder that exists.

    The folders on the way to the artifact stay in its name: artifacts of one name in different
    folders have results of their own.
    """
    place = artifact.resolve()
    root = Path.cwd() if place.is_relative_to(Path.cwd()) else Path(place.anchor)
    place = place.relative_to(root)
    path = out / place.parent / f"{place.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
