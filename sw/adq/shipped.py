"""Files that come with the package and are found by name: recipes, tiles and platforms."""

from pathlib import Path

__all__ = ["ShippedFileError", "find_shipped", "install_command", "shipped_names"]

CONFIGS = Path(__file__).parent / "configs"


class ShippedFileError(ValueError):
    """A name that is neither a file nor the name of a file that comes with the package."""


def shipped_names(kind: str) -> list[str]:
    """Return the names of the files of a kind: ``train``, ``tile`` or ``platform``."""
    return sorted(path.stem for path in (CONFIGS / kind).glob("*.toml"))


def find_shipped(kind: str, name: str | Path) -> Path:
    """Return the TOML file that a user names: a path, or the name of one that is shipped.

    A name without a folder and without a suffix, such as ``64x64``, is looked up among the files
    that come with the package; anything else is a path.

    Raises
    ------
    ShippedFileError
        If it looks like a name, and no file of that name is shipped.
    """
    path = Path(name)
    if path.suffix or path.parent != Path() or path.is_file():
        return path
    shipped = CONFIGS / kind / f"{name}.toml"
    if not shipped.is_file():
        raise ShippedFileError(
            f"{name}: no such file, and no {kind} configuration of this name comes with adq: "
            f"give a path, or one of {', '.join(shipped_names(kind))}"
        )
    return shipped


def install_command(extra: str) -> str:
    """Return the command that installs an extra where the user is: a checkout, or a wheel."""
    checkout = Path(__file__).absolute().parents[2]
    target = f"-e '.[{extra}]'" if (checkout / "pyproject.toml").is_file() else f"'adq[{extra}]'"
    return f"pip install {target}"
