"""Descriptors and program files: every field out of range has its error."""

import dataclasses
import functools
import hashlib
import json
import operator
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adq.golden.files.reading import FileError
from adq.golden.platform.checks import row_blocks, weight_block_count
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory
from adq.golden.platform.interpreter import Interpreter
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.program import Program, ProgramError
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    OPERATIONS,
    DescriptorError,
    End,
    Layer,
    Load,
    Loop,
    Store,
    unpack,
)
from adq.rtl.platform.parameters import PlatformParameters
from tests.golden_networks import digits_like_network, random_inputs

pytestmark = pytest.mark.testpoint("platform.refusals")

KINDS = list(OPERATIONS.values())
FIELDS = [(kind, field) for kind in KINDS for field in dataclasses.fields(kind)]
IDS = [f"{kind.__name__}.{field.name}" for kind, field in FIELDS]


def least(kind):
    """Return a descriptor with every field at its least."""
    return kind(**{field.name: field.metadata["least"] for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", KINDS)
def test_fields_do_not_overlap_and_stay_within_words(kind):
    taken = set(range(4))
    for field in dataclasses.fields(kind):
        at, bits = field.metadata["at"], field.metadata["bits"]
        place = set(range(at, at + bits))
        assert not place & taken, field.name
        assert at // 32 == (at + bits - 1) // 32, field.name
        assert field.metadata["most"] < 1 << bits
        taken |= place
    assert max(taken) < 8 * DESCRIPTOR_BYTES


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_what_is_unpacked_is_what_was_packed(kind, data):
    fields = {
        field.name: data.draw(st.integers(field.metadata["least"], field.metadata["most"]))
        for field in dataclasses.fields(kind)
    }
    descriptor = kind(**fields)
    packed = descriptor.pack()
    assert len(packed) == DESCRIPTOR_BYTES
    assert unpack(packed, 0) == descriptor


def test_a_layer_by_hand():
    fields = {field.name: 0 for field in dataclasses.fields(Layer)}
    words = np.frombuffer(Layer(**fields).pack(), "<u4")
    assert words.tolist() == [5, *[0] * 15]
    words = np.frombuffer(Layer(**fields | {"shift": 3, "height": 7, "width": 9}).pack(), "<u4")
    assert words.tolist() == [5, 3, *[0] * 9, 7 | 9 << 16, *[0] * 4]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=IDS)
def test_a_field_out_of_its_range_is_named(kind, field):
    place = field.metadata
    lowest, highest = place["least"], place["most"]
    outside = [v for v in (lowest - 1, highest + 1) if 0 <= v < 1 << place["bits"]]
    for value in outside:
        packed = dataclasses.replace(least(kind), **{field.name: value}).pack()
        with pytest.raises(DescriptorError) as error:
            unpack(packed, 17)
        assert (error.value.index, error.value.field) == (17, field.name)
        assert str(error.value) == (
            f"descriptor 17: {field.name}: {value}: it must be {lowest} to {highest}"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_bits_of_no_field_are_refused(kind):
    taken = set(range(4))
    for field in dataclasses.fields(kind):
        at = field.metadata["at"]
        taken |= set(range(at, at + field.metadata["bits"]))
    for bit in sorted(set(range(8 * DESCRIPTOR_BYTES)) - taken):
        packed = bytearray(least(kind).pack())
        packed[bit // 8] |= 1 << bit % 8
        with pytest.raises(DescriptorError, match=f"descriptor 2: reserved: bit {bit} is set"):
            unpack(bytes(packed), 2)


@pytest.mark.parametrize("operation", [0, 6, 15])
def test_unknown_operations_are_refused(operation):
    with pytest.raises(DescriptorError) as error:
        unpack(bytes([operation]) + bytes(DESCRIPTOR_BYTES - 1), 4)
    assert (error.value.index, error.value.field) == (4, "operation")


PLATFORM = PlatformParameters(stack=3, tile_columns=1, clusters=2, plane_memory_kib=16)


@pytest.fixture(scope="module")
def case():
    network = digits_like_network(4)
    inputs = random_inputs(network, np.random.default_rng(0), 2)
    return emit(plan(network, PLATFORM, batch=2), 2), inputs


def run(program, inputs, memory=None, input_bytes=None, output_bytes=None):
    memory = program.memory if memory is None else memory
    images = input_memory(program, inputs)
    images = images if input_bytes is None else images[:input_bytes]
    size = program.output_bytes if output_bytes is None else output_bytes
    interpreter = Interpreter(program.platform, memory, images, size)
    for _ in interpreter.run():
        pass
    return interpreter.outputs


def place_of(program, kind, condition=lambda d: True):
    return next(
        index for index in range(program.descriptors)
        if isinstance(program.descriptor(index), kind) and condition(program.descriptor(index))
    )  # fmt: skip


def replaced(program, index, descriptor):
    memory = bytearray(program.memory)
    memory[index * DESCRIPTOR_BYTES : (index + 1) * DESCRIPTOR_BYTES] = descriptor.pack()
    return bytes(memory)


WORDS = PLATFORM.plane_memory_words
LAYER_DAMAGE = [
    ({"weight_bits": 3}, "weight_bits"),
    ({"mode": 1, "skip": 1}, "skip"),
    ({"accumulator_bits": 49}, "accumulator_bits"),
    ({"source_slots_log": 0}, "source_slots_log"),
    ({"target_slots_log": 0}, "target_slots_log"),
    ({"skip": 1, "skip_slots_log": 0}, "skip_slots_log"),
    ({"source_pitch": 3}, "source_pitch"),
    ({"source_pitch": 65}, "source_pitch"),
    ({"source_words": 2}, "source_words"),
    ({"pool_height": 63}, "pool_height"),
    ({"pool_width": 63}, "pool_width"),
    ({"split": 4}, "split"),
    ({"source": WORDS}, "source"),
    ({"source": 2**32 - 1}, "source"),
    ({"source_height": 2**16 - 1}, "source"),
    ({"source_planes": 16, "source_width": 2**16 - 1}, "source"),
    ({"target": WORDS - 1}, "target"),
    ({"target_pitch": 24}, "target_pitch"),
    ({"target_channel": 1}, "target_channel"),
    ({"outputs": 9}, "target_channel"),
    ({"skip": 1, "skip_slots_log": 1, "skip_pitch": 6}, "skip_pitch"),
    ({"skip": 1, "skip_slots_log": 1, "skip_pitch": 8, "skip_channel": 1}, "skip_channel"),
    (
        {"skip": 1, "skip_slots_log": 1, "skip_pitch": 8, "skip_address": WORDS},
        "skip_address",
    ),
    ({"parameters": 2**32 - 1}, "parameters"),
    ({"weights": 2**32 - 1}, "weights"),
    ({"kernel_height": 1023, "kernel_width": 1023}, "weights"),
    ({"mode": 1, "pool_height": 2, "target": 0}, "pool_height"),
    ({"mode": 1, "target": 2**20}, "target"),
]


@pytest.mark.parametrize(("changes", "field"), LAYER_DAMAGE, ids=lambda v: str(v)[:50])
def test_a_layer_that_does_not_suit_the_platform_is_named(case, changes, field):
    program, inputs = case
    index = place_of(program, Layer, lambda d: not d.skip and d.mode == 0)
    layer = dataclasses.replace(program.descriptor(index), **changes)
    with pytest.raises(DescriptorError) as error:
        run(program, inputs, replaced(program, index, layer))
    assert (error.value.index, error.value.field) == (index, field)


@pytest.mark.parametrize("kind", [Load, Store])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"images_log": 15}, "slots_log"),
        ({"slots_log": 15}, "address"),
        ({"words": 2**32 - 1}, "address"),
        ({"address": WORDS}, "address"),
        ({"memory": 2**32 - 1}, "memory"),
    ],
)
def test_a_copy_outside_of_memory_is_named(case, kind, changes, field):
    program, inputs = case
    index = place_of(program, Load)
    good = program.descriptor(index)
    fields = {f.name: getattr(good, f.name) for f in dataclasses.fields(kind)}
    with pytest.raises(DescriptorError) as error:
        run(program, inputs, replaced(program, index, kind(**fields | changes)),
            output_bytes=2**16)  # fmt: skip
    assert (error.value.index, error.value.field) == (index, field)


def test_a_source_that_ends_with_the_memory_is_run(case):
    """Where a layer reads some words of a pixel, the address is that of the first of them."""
    program, inputs = case
    index = place_of(program, Layer, lambda d: not d.skip and d.mode == 0)
    size = 2 * 2 * 3 * 2  # two places of two rows of three planes of one pixel of two words
    layer = dataclasses.replace(
        program.descriptor(index), source_pitch=128, source_words=1, source_height=2,
        source_width=1, source_planes=3, source_slots_log=1, kernel_height=1, kernel_width=1,
    )  # fmt: skip
    for word in (0, 1):
        last = dataclasses.replace(layer, source=WORDS - size + word)
        run(program, inputs, replaced(program, index, last))
    beyond = dataclasses.replace(layer, source=WORDS - size + 2)
    with pytest.raises(DescriptorError, match=r"source: \d+: the tensor ends beyond"):
        run(program, inputs, replaced(program, index, beyond))


def test_tiles_that_are_not_there_are_not_stacked(case):
    program, inputs = case
    index = place_of(program, Layer)
    layer = dataclasses.replace(program.descriptor(index), stacked=1)
    single = dataclasses.replace(program, platform=dataclasses.replace(PLATFORM, stack=1))
    with pytest.raises(DescriptorError) as error:
        run(single, inputs, replaced(program, index, layer))
    assert (error.value.index, error.value.field) == (index, "stacked")


def test_memories_that_are_too_small_are_named(case):
    program, inputs = case
    load = place_of(program, Load)
    raw = place_of(program, Layer, lambda d: d.mode == 1)
    with pytest.raises(DescriptorError, match=f"descriptor {load}: memory:"):
        run(program, inputs, input_bytes=program.input_bytes - 1)
    with pytest.raises(DescriptorError, match=f"descriptor {raw}: target:"):
        run(program, inputs, output_bytes=159)
    with pytest.raises(DescriptorError, match=r"weights: \d+: it ends beyond the program's"):
        run(program, inputs, program.memory[:-16])


def test_a_program_without_an_end_is_refused(case):
    program, inputs = case
    whole = program.descriptors * DESCRIPTOR_BYTES
    for size in (0, 1, DESCRIPTOR_BYTES - 1, whole - DESCRIPTOR_BYTES, whole - 1):
        with pytest.raises(DescriptorError) as error:
            run(program, inputs, program.memory[:size])
        assert error.value.field == "operation"
        assert error.value.index == size // DESCRIPTOR_BYTES
    nop = Loop(count=1, images_log=0).pack()
    with pytest.raises(DescriptorError, match="descriptor 4: operation: more than 4 loops"):
        run(program, inputs, nop * 8)
    load = dataclasses.replace(program.descriptor(place_of(program, Load)), words=1).pack()
    with pytest.raises(DescriptorError, match="descriptor 4096: operation: the program ends"):
        run(program, inputs, load * 4097)


def test_an_empty_program_does_nothing(case):
    program, inputs = case
    assert not run(program, inputs, End().pack()).any()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_bits_are_run_or_refused(case, data):
    """Whatever a descriptor holds, the interpreter ends, or names a field."""
    program, inputs = case
    memory = bytearray(program.memory)
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, 8 * DESCRIPTOR_BYTES * program.descriptors - 1))
        memory[bit // 8] ^= 1 << bit % 8
    # Loops of many passes take long, and teach nothing.
    for index in range(program.descriptors):
        if memory[index * DESCRIPTOR_BYTES] & 15 == Loop.OPERATION:
            memory[index * DESCRIPTOR_BYTES + 5] = 0
            memory[index * DESCRIPTOR_BYTES + 4] &= 3
    names = {field.name for _, field in FIELDS} | {"operation", "reserved"}
    error = None
    try:
        run(program, inputs, bytes(memory))
    except DescriptorError as raised:
        error = raised
    if error is not None:
        assert error.field in names
        assert 0 <= error.index <= program.descriptors


def test_what_a_layer_needs_by_hand(case):
    program, _ = case
    first = program.descriptor(place_of(program, Layer))
    layer = dataclasses.replace(
        first, source_pitch=16, source_words=1, kernel_height=3, kernel_width=5, dilation_x=2,
        weight_bits=4, outputs=40, stacked=1, split=2,
    )  # fmt: skip
    # Nine pixels reach over three words of four; nine blocks are three rounds of three tiles. 40
    # outputs are three blocks of 16, two groups of two.
    assert row_blocks(layer, 64) == 9
    assert weight_block_count(layer, PLATFORM) == 2 * 3 * 2 * 3


# Files


def resigned(data):
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def with_text(data, change):
    head, (header, memory) = data[:24], struct.unpack_from("<IQ", data, 12)
    text = change(data[24 : 24 + header])
    head = head[:12] + struct.pack("<IQ", len(text), memory)
    return resigned(head + text + data[24 + header :])


def with_header(data, old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)

    return with_text(data, change)


def with_value(*place_and_value):
    """Change a value of the header, given by its keys."""
    *place, last, value = place_and_value

    def change(text):
        header = json.loads(text)
        functools.reduce(operator.getitem, place, header)[last] = value
        return json.dumps(header).encode()

    return lambda data: with_text(data, change)


def _words(value: object) -> str:
    """Name a case by its message: a function's own text differs from process to process."""
    return value[:40] if isinstance(value, str) else ""


FILE_DAMAGE = [
    (lambda d: b"", "is no program of the platform"),
    (lambda d: b"PK" + d[2:], "is no program of the platform"),
    (lambda d: d[:20], "is no program of the platform"),
    (lambda d: d[:8] + b"\2" + d[9:], "has program version 2, this release reads 1"),
    (lambda d: d[:-1], "it is cut short or not the file that was written"),
    (lambda d: d + b"\0", "it is cut short or not the file that was written"),
    (lambda d: d[:12] + b"\xff" * 12 + d[24:], "it is cut short or not the file that was written"),
    (lambda d: d[:-40] + bytes([d[-40] ^ 1]) + d[-39:], "its checksum is not that of its contents"),
    (lambda d: d[:40] + bytes([d[40] ^ 1]) + d[41:], "its checksum is not that of its contents"),
    (lambda d: with_header(d, b'"rows": 64', b'"rows": 65'), "rows must be a power of two"),
    (lambda d: with_header(d, b'"rows": 64', b'"lines": 64'), "unexpected keyword argument"),
    (lambda d: with_header(d, b'"rows": 64', b'"rows": "64"'), "is not of type 'integer'"),
    (lambda d: with_header(d, b'"images": 2', b'"images": 0'), "0 is less than the minimum"),
    (lambda d: with_header(d, b'"images": 2', b'"images": NaN'), "not valid JSON"),
    (lambda d: with_header(d, b'"descriptors"', b'"more": 1, "descriptors"'), "unexpected"),
    (lambda d: with_header(d, b'"descriptors": ', b'"descriptors": 9999'), "do not fit into its"),
    (lambda d: with_header(d, b'"layers"', b'"levels"'), "required property"),
    (with_value("notes", "input", "shape", [10**8, 8, 8]), "100000000 is greater than the maximum"),
    (
        with_value("notes", "input", "shape", [2, 8, 8]),
        "the shape of its images is not that of what is",
    ),
    (
        with_value("notes", "input", "layout", "width", 10**6),
        "do not take the bytes of the input memory",
    ),
    (
        with_value("notes", "outputs", "linear", "memory", 10**6),
        "'linear' lies outside of the output memory",
    ),
    (
        with_value("notes", "outputs", "linear", "shape", [10**6]),
        "'linear' lies outside of the output",
    ),
    (with_value("output_bytes", 2**31), "in part of the output memory"),
    (with_value("output_bytes", 2**40), "is greater than the maximum"),
]


@pytest.mark.parametrize(("change", "message"), FILE_DAMAGE, ids=_words)
def test_damaged_program_files_are_refused(case, tmp_path, change, message):
    program, _ = case
    path = tmp_path / "a.program"
    path.write_bytes(change(program.to_bytes()))
    with pytest.raises(ProgramError) as error:
        Program.read(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text
    assert text.endswith("write it again with adq plan")


def test_a_program_survives_the_disk(case, tmp_path):
    program, _ = case
    path = tmp_path / "a.program"
    path.write_bytes(program.to_bytes())
    assert Program.read(path) == program
    assert Program.read(path).to_bytes() == program.to_bytes()
    with pytest.raises(FileError):
        Program.read(tmp_path)


def test_images_that_do_not_suit_a_program_are_refused(case):
    program, inputs = case
    for wrong in (inputs[:, :, :4], inputs[:0], np.concatenate([inputs] * 2)):
        with pytest.raises(ValueError, match="images have shape"):
            input_memory(program, wrong)
