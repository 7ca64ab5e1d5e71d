"""Programs: what a platform reads, and what tools keep beside it, in one file.

A program's memory image begins with its descriptors; parameters and weight blocks follow. The
platform reads nothing else but the images. The file has a header in front, which says for which
platform the program was made and what its tensors are called, and a checksum behind.
"""

import dataclasses
import functools
import hashlib
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.golden.files.json_reader import JsonError, Schema, parse
from adq.golden.files.reading import read_file
from adq.golden.mapping.im2col import output_size
from adq.golden.platform.checks import UNIT
from adq.golden.platform.planning.layout import Layout
from adq.rtl.parameters import ParameterError
from adq.rtl.platform.descriptors import DESCRIPTOR_BYTES, Descriptor, unpack
from adq.rtl.platform.parameters import PlatformParameters

MAGIC = b"ADQPROG\n"
VERSION = 1

MAXIMUM_BYTES = 2**32
"""Largest program that is read, and largest input and output memory."""

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
        try:
            _check_tensors(program)
        except ValueError as error:
            raise ProgramError(f"{path}: {error}: {remedy}") from None
        return program


def _check_tensors(program: Program) -> None:
    """Check that the tensors which the notes describe lie in the input and the output memory.

    Raises
    ------
    ValueError
        They do not, or a shape is not that of what is stored.

    """
    notes = program.notes["input"]
    layout = Layout(word_bits=program.platform.rows, **notes["layout"])
    if _bytes(program, layout) != program.input_bytes:
        raise ValueError("its images do not take the bytes of the input memory")
    channels, height, width = (*notes["shape"], 1, 1)[:3]
    if notes["windows"] is not None:
        axes = (notes["windows"][name] for name in ("kernel", "stride", "padding", "dilation"))
        channels *= math.prod(notes["windows"]["kernel"])
        height, width = (
            output_size(size, *of_axis)
            for size, *of_axis in zip((height, width), *axes, strict=True)
        )
    if (channels, height, width) != (layout.channels, layout.height, layout.width):
        raise ValueError("the shape of its images is not that of what is stored")
    stored = 0
    for name, described in program.notes["outputs"].items():
        shape = described["shape"]
        size = 8 * program.images * math.prod(shape)
        if described["layout"] is not None:
            layout = Layout(word_bits=program.platform.rows, **described["layout"])
            size = _bytes(program, layout)
            sides = [layout.height, layout.width]
            last = described["channel"] + shape[0]
            fits = last <= layout.channels and shape[1:] == sides
            if not fits and shape != [layout.channels * math.prod(sides)]:
                raise ValueError(f"the shape of {name!r} is not that of what is stored")
        if described["memory"] + size > program.output_bytes:
            raise ValueError(f"{name!r} lies outside of the output memory")
        stored += -(-size // UNIT) * UNIT
    if program.output_bytes > stored:
        raise ValueError("nothing is stored in part of the output memory")


def _bytes(program: Program, layout: Layout) -> int:
    """Return the bytes of all images of a tensor."""
    return program.images * layout.image_words * layout.word_bits // 8


_COUNT = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_BYTES}


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
_SIDE = {"type": "integer", "minimum": 0, "maximum": 2**24}
_SIDES = {"type": "array", "items": _SIDE | {"minimum": 1}, "minItems": 1, "maxItems": 3}
_PAIR = {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}
_WINDOWS = ("dilation", "kernel", "padding", "stride")
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
                            "required": list(_WINDOWS),
                            "additionalProperties": False,
                            "properties": {
                                name: _PAIR
                                if name == "padding"
                                else _PAIR | {"items": _SIDE | {"minimum": 1}}
                                for name in _WINDOWS
                            },
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
