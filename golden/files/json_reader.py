"""JSON that may come from strangers: one reader, with types and limits.

``json`` alone takes numbers that are none, objects whose keys repeat, and text nested so deep that
later steps break. What is read here has none of these, and where a schema is given every field has
its type and its range.
"""

import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jsonschema

from adq.golden.files.reading import FileError, read_file

__all__ = [
    "JsonError",
    "JsonObject",
    "Schema",
    "check_signature",
    "parse",
    "quoted",
    "read_json",
    "sign",
]

MAXIMUM_BYTES = 2**26
"""Largest file that is read, unless the reader says otherwise."""

MAXIMUM_DEPTH = 64
"""Objects and lists inside of each other."""

LARGEST_INTEGER = 2**64
"""Integers are smaller; longer ones take time, and end what converts them to floats."""


JsonObject = dict[str, Any]
"""An object of JSON. Which fields it has, and of which types, says its schema."""


class JsonError(FileError):
    """Text that is no JSON, or JSON that does not hold what it must."""


def parse(text: bytes | str) -> Any:
    """Parse JSON.

    Raises
    ------
    JsonError
        Not JSON in UTF-8, a number that is not finite or beyond 64 bits, a key twice in an object,
        half of a character, or nested deeper than ``MAXIMUM_DEPTH``.

    """
    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short,
        )
        _check_depth(value)
        # Half of a character, which JSON can escape, ends whoever prints it.
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise JsonError(f"not valid JSON (nested deeper than {MAXIMUM_DEPTH})") from None
    except ValueError as error:
        raise JsonError(f"not valid JSON ({quoted(error)})") from None
    return value


class Schema:
    """A JSON Schema for JSON, and for plain values of Python that come from another format.

    Integers are integers, though to the standard 1.0 is one, too; numbers are finite; tuples are
    arrays.
    """

    def __init__(self, schema: Mapping[str, Any]):
        self._schema = schema

    def check(self, value: Any) -> None:
        """Hold a value against the schema.

        Raises
        ------
        JsonError
            It does not suit; the message has the place and the reason, in one line.

        """
        error = jsonschema.exceptions.best_match(self._validator.iter_errors(value))
        if error is not None:
            raise JsonError(f"{quoted(error.json_path)}: {quoted(error.message)}")

    @functools.cached_property
    def _validator(self) -> jsonschema.protocols.Validator:
        draft = jsonschema.Draft202012Validator
        kinds = {"integer": _is_integer, "number": _is_number, "array": _is_array}
        types = draft.TYPE_CHECKER.redefine_many(kinds)
        return jsonschema.validators.extend(draft, type_checker=types)(self._schema)


def read_json(path: Path, schema: Schema, *, most: int = MAXIMUM_BYTES) -> Any:
    """Read a JSON file that suits a schema.

    Raises
    ------
    JsonError
        It is no JSON, or does not suit; the message starts with the path.
    adq.golden.files.reading.FileError
        The path is no plain file of at most ``most`` bytes.
    OSError
        The file is missing or cannot be read.

    """
    data = read_file(path, most)
    try:
        value = parse(data)
        schema.check(value)
    except JsonError as error:
        raise JsonError(f"{path}: {error}") from None
    return value


def sign(value: Mapping[str, Any], *, default: Callable[[object], object] | None = None) -> bytes:
    """Return an object as JSON whose last field, ``sha256``, is the checksum of the text before it.

    ``default`` turns other values into JSON's, as in ``json.dumps``. Equal objects give equal
    bytes.
    """
    text = json.dumps(value, indent=2, allow_nan=False, default=default)
    body = text.removesuffix("\n}").encode() + b",\n  "
    return body + _checksum_field(body)


def check_signature(text: bytes) -> None:
    """Hold a signed text against its checksum.

    Raises
    ------
    JsonError
        It is another one's.

    """
    body = text[: text.rfind(b'"sha256"')]
    if text != body + _checksum_field(body):
        raise JsonError("its sha256, the last field, is not that of the text before it")


def quoted(found: Any) -> str:
    """Quote what a file holds in one short printable line, whatever it is."""
    return repr(str(found)[:200])[1:-1]


def _checksum_field(body: bytes) -> bytes:
    """Return the end of a signed text: the checksum of all bytes before this field."""
    return b'"sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Refuse an object whose keys repeat: readers would disagree on which one holds."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("an object has the same key twice")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is beyond the largest number")
    return number


def _short(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"{text[:40]} is beyond 64 bits")
    return number


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [
        inner
        for each in level
        if isinstance(each, dict | list)
        for inner in (each.values() if isinstance(each, dict) else each)
        if isinstance(inner, dict | list)
    ]:
        depth += 1
        if depth >= MAXIMUM_DEPTH:
            raise ValueError(f"nested deeper than {MAXIMUM_DEPTH}")


def _is_integer(_checker: jsonschema.TypeChecker, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: jsonschema.TypeChecker, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_array(_checker: jsonschema.TypeChecker, value: object) -> bool:
    return isinstance(value, list | tuple)
