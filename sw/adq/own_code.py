"""Functions in the user's own modules, which a recipe names as ``module:function``.

A module is looked for in the present folder first, then where Python finds modules.
"""

import contextlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adq.fields import ConfigError, check_choice

__all__ = ["call", "check_choice_or_own", "is_own"]

_FORM = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


def is_own(name: str) -> bool:
    """Return whether a name is one of a function, and of nothing that comes with adq."""
    return ":" in name


def check_choice_or_own(key: str, value: str, choices: tuple[str, ...] | dict[str, Any]) -> None:
    """Refuse a value that is none of the choices and no ``module:function``."""
    if not is_own(value):
        check_choice(key, value, (*choices, "module:function"))
    elif not _FORM.fullmatch(value):
        raise ConfigError(
            f"{key} is {value!r}: a function of your own is written module:function, such as "
            "networks:small"
        )


def call(name: str, *arguments: Any) -> Any:
    """Call a function of the user's, and return its result.

    Raises
    ------
    ConfigError
        If there is no such module or function, or it fails. The message names the user's line.

    """
    found = _FORM.fullmatch(name)
    if found is None:
        raise ConfigError(f"{name!r} is no module:function")
    with _present_folder_first():
        try:
            module = importlib.import_module(found["module"])
        except ModuleNotFoundError as error:
            if error.name is None or not f"{found['module']}.".startswith(f"{error.name}."):
                raise _failure(name, error) from None  # a module that the user's imports
            raise ConfigError(
                f"{name}: there is no module {error.name}: run adq in the folder that holds it, or "
                "install it"
            ) from None
        except Exception as error:
            raise _failure(name, error) from None
        function = getattr(module, found["function"], None)
        if not callable(function):
            raise ConfigError(
                f"{name}: {found['module']} has no function {found['function']}: name one that it "
                "has"
            )
        try:
            return function(*arguments)
        except Exception as error:
            raise _failure(name, error) from None


def _failure(name: str, error: Exception) -> ConfigError:
    """Return an error that tells where the user's code failed."""
    reason = " ".join(str(error).split())
    where = traceback.extract_tb(error.__traceback__)[-1]
    return ConfigError(
        f"{name}: failed with {type(error).__name__}: {reason} ({Path(where.filename).name}, line "
        f"{where.lineno}): mend it"
    )


@contextlib.contextmanager
def _present_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
