"""Programs: what a platform reads, and what tools keep beside it, in one file.

A program's memory image begins with its descriptors; parameters and weight blocks follow. The
platform reads nothing else but the images. The file has a header in front, which says for which
platform the program was made and what its tensors are called, and a checksum behind.
"""

import dataclasses
import functools
import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.golden.files.json_reader import JsonError, Schema, parse
from adq.golden.files.reading import read_file
from adq.rtl.parameters import ParameterError
from adq.rtl.platform.descriptors import DESCRIPTOR_BYTES, Descriptor, unpack
from adq.rtl.platform.parameters import PlatformParameters

MAGIC = b"ADQPROG\n"
VERSION = 1

MAXIMUM_BYTES = 2**32
"""Largest program that is read."""

_HEAD = struct.Struct("<8sIIQ")
"""Magic, version, bytes of the header, bytes of the memory image."""

_DIGEST = hashlib.sha256().digest_size


class ProgramError(ValueError):
    """A program file that cannot be used. The message says which file, why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of a platform."""

    platform: PlatformParameters
    memory: bytes
    """Bytes that the platform reads: descriptors, parameters, weight blocks."""
    descriptors: int
    """Number of descriptors."""
    images: int
    """Images that it computes."""
    input_bytes: int
    """Bytes of the input memory, of all images."""
    output_bytes: int
    """Bytes of the output memory."""
    notes: dict[str, Any]
    """Facts for tools: the network's name, its input, its outputs, and the node and the outputs
    that each ``Layer`` computes."""

    def descriptor(self, index: int) -> Descriptor:
        """Return a descriptor, with every field within its own range.

        Raises
        ------
        adq.rtl.platform.descriptors.DescriptorError
            It is malformed.

        """
        first = index * DESCRIPTOR_BYTES
        return unpack(self.memory[first : first + DESCRIPTOR_BYTES], index)

    def to_bytes(self) -> bytes:
        """Return the contents of its file; the same program gives the same bytes."""
        header = {
            "platform": dataclasses.asdict(self.platform),
            "descriptors": self.descriptors,
            "images": self.images,
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "notes": self.notes,
        }
        text = json.dumps(header, allow_nan=False, sort_keys=True).encode()
        data = _HEAD.pack(MAGIC, VERSION, len(text), len(self.memory)) + text + self.memory
        return data + hashlib.sha256(data).digest()

    @classmethod
    def read(cls, path: Path) -> "Program":
        """Read a file; see ``from_bytes``.

        Raises
        ------
        ProgramError
            It is damaged, of another version, or no program.
        adq.golden.files.reading.FileError
            It is no plain file, or too large.
        OSError
            It is missing or cannot be read.

        """
        return cls.from_bytes(read_file(path, MAXIMUM_BYTES), path)

    @classmethod
    def from_bytes(cls, data: bytes, path: str | Path) -> "Program":
        """Read the contents of a file, and check all of it but what its descriptors ask for.

        Raises
        ------
        ProgramError
            They are damaged, of another version, or no program. The message begins with the path.

        """
        remedy = "write it again with adq plan"
        if len(data) < _HEAD.size + _DIGEST or not data.startswith(MAGIC):
            raise ProgramError(f"{path}: is no program of the platform: {remedy}")
        _, version, header_bytes, memory_bytes = _HEAD.unpack_from(data)
        if version != VERSION:
            raise ProgramError(
                f"{path}: has program version {version}, this release reads {VERSION}: {remedy}"
            )
        expected = _HEAD.size + header_bytes + memory_bytes + _DIGEST
        if len(data) != expected:
            raise ProgramError(
                f"{path}: has {len(data)} bytes, its header says {expected}: it is cut short or "
                f"not the file that was written; {remedy}"
            )
        if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
            raise ProgramError(f"{path}: its checksum is not that of its contents: {remedy}")
        try:
            header = parse(data[_HEAD.size : _HEAD.size + header_bytes])
            _schema().check(header)
            platform = PlatformParameters(**header.pop("platform"))
        except (JsonError, ParameterError, TypeError) as error:
            raise ProgramError(f"{path}: header: {error}: {remedy}") from None
        memory = data[_HEAD.size + header_bytes : -_DIGEST]
        program = cls(platform=platform, memory=memory, **header)
        if program.descriptors * DESCRIPTOR_BYTES > len(memory):
            raise ProgramError(
                f"{path}: {program.descriptors} descriptors do not fit into its memory image of "
                f"{len(memory)} bytes: {remedy}"
            )
        return program


_COUNT = {"type": "integer", "minimum": 1, "maximum": 2**40}


@functools.cache
def _schema() -> Schema:
    counts = ("descriptors", "images", "input_bytes", "output_bytes")
    return Schema(
        {
            "type": "object",
            "required": ["platform", "notes", *counts],
            "additionalProperties": False,
            "properties": {
                "platform": {"type": "object", "additionalProperties": {"type": "integer"}},
                "notes": _NOTES,
                **dict.fromkeys(counts, _COUNT),
            },
        }
    )


_NAME = {"type": "string", "minLength": 1, "maxLength": 256}
_SIDES = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}
_PAIR = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_LAYOUT = {
    "type": "object",
    "required": ["channels", "height", "width", "planes", "signed"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("channels", "height", "width", "planes"), _COUNT),
        "signed": {"type": "boolean"},
    },
}
_NOTES = {
    "type": "object",
    "required": ["name", "input", "outputs", "layers"],
    "additionalProperties": False,
    "properties": {
        "name": _NAME,
        "input": {
            "type": "object",
            "required": ["shape", "layout", "windows"],
            "additionalProperties": False,
            "properties": {
                "shape": _SIDES,
                "layout": _LAYOUT,
                "windows": {
                    "anyOf": [
                        {"type": "null"},
                        {
                            "type": "object",
                            "required": ["kernel", "stride", "padding", "dilation"],
                            "additionalProperties": _PAIR,
                        },
                    ]
                },
            },
        },
        "outputs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["memory", "shape", "layout", "channel"],
                "additionalProperties": False,
                "properties": {
                    "memory": {"type": "integer", "minimum": 0},
                    "shape": _SIDES,
                    "layout": {"anyOf": [{"type": "null"}, _LAYOUT]},
                    "channel": {"type": "integer", "minimum": 0},
                },
            },
        },
        "layers": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["node", "first", "output"],
                "additionalProperties": False,
                "properties": {
                    "node": _NAME,
                    "first": {"type": "integer", "minimum": 0},
                    "output": _NAME,
                },
            },
        },
    },
}
