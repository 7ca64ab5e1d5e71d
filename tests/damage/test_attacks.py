"""Artifacts that are damaged on purpose: each gets its error, at no cost in memory."""

import copy
import json
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adq.golden.artifact import MANIFEST, TENSORS, ArtifactError, read_artifact, write_artifact
from tests.damage.damaged_artifacts import ATTACKS, good_files, listed, manifest, write_files

pytestmark = pytest.mark.testpoint("artifact.whole")

MOST_MEMORY = 32 * 2**20
"""The damaged artifacts have less than 64 KiB; parsing one takes a few MiB."""


def read(directory):
    """Read an artifact, and hold the memory that it takes against the limit."""
    tracemalloc.start()
    try:
        return read_artifact(directory)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_MEMORY, f"{peak:,} bytes"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The good artifact's files."""
    return good_files(tmp_path_factory.mktemp("good") / "good")


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_gets_its_error(name, files, tmp_path):
    damaged = dict(files)
    ATTACKS[name].damage(damaged)
    assert damaged != files
    write_files(tmp_path / name, damaged)
    with pytest.raises(ArtifactError) as error:
        read(tmp_path / name)
    text = str(error.value)
    assert ATTACKS[name].error in text
    assert text.startswith(str(tmp_path / name))
    assert "\n" not in text
    assert len(text) < 1000


# Fuzzing


def survives(directory, files):
    """Whatever the files hold, reading them gives an artifact or a named error."""
    directory.mkdir(exist_ok=True)
    for name in (MANIFEST, TENSORS):
        (directory / name).write_bytes(files[name])
    try:
        artifact = read(directory)
    except ArtifactError:
        return
    # What is read can be written, and read again.
    write_artifact(directory.with_name("again"), artifact)
    read_artifact(directory.with_name("again"))


fuzzing = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

numbers = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**24, 2**24 + 1, 2**31, 2**62, 2**63, -(2**63), 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(parsed, path=()):
    """All paths into a JSON value."""
    yield path
    if isinstance(parsed, dict):
        for key, value in parsed.items():
            yield from places(value, (*path, key))
    elif isinstance(parsed, list):
        for index, value in enumerate(parsed):
            yield from places(value, (*path, index))


def mutated(data, parsed):
    """A JSON value with one to three changes: other values, exchanged ones, removed ones."""
    parsed = copy.deepcopy(parsed)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = [path for path in places(parsed) if path]
        *parents, last = data.draw(st.sampled_from(paths))
        inner = parsed
        for key in parents:
            inner = inner[key]
        kind = data.draw(st.sampled_from(["value", "number", "copy", "remove"]))
        if kind == "value":
            inner[last] = data.draw(values)
        elif kind == "number":
            inner[last] = data.draw(numbers)
        elif kind == "copy":
            other = parsed
            for key in data.draw(st.sampled_from(paths)):
                other = other[key]
            inner[last] = copy.deepcopy(other)
        else:
            del inner[last]
        if not any(places(parsed)):
            break
    return parsed


@fuzzing
@given(data=st.data())
def test_any_signed_manifest(tmp_path, files, data):
    files = dict(files)

    def change(parsed):
        changed = mutated(data, parsed)
        parsed.clear()
        parsed.update(changed)

    manifest(change)(files)
    survives(tmp_path / "fuzzed", files)


@fuzzing
@given(data=st.data())
def test_any_header_of_the_tensor_file(tmp_path, files, data):
    files = dict(files)
    whole = files[TENSORS]
    (length,) = struct.unpack("<Q", whole[:8])
    header = mutated(data, json.loads(whole[8 : 8 + length]))
    text = json.dumps(header).encode()
    stated = data.draw(st.one_of(st.just(len(text)), st.integers(0, 2**64 - 1)))
    files[TENSORS] = struct.pack("<Q", stated) + text + whole[8 + length :]
    listed(files)
    survives(tmp_path / "fuzzed", files)


@fuzzing
@given(name=st.sampled_from([MANIFEST, TENSORS]), text=st.binary(max_size=300))
@example(name=MANIFEST, text=b'{"format": "adq-golden", "version": 2}')
def test_any_bytes(tmp_path, files, name, text):
    files = files | {name: text}
    if name == TENSORS:
        listed(files)
    survives(tmp_path / "fuzzed", files)


@fuzzing
@given(data=st.data())
def test_any_tensor_data_of_a_right_checksum(tmp_path, files, data):
    """Integers that nobody checked, behind checksums that suit them."""
    files = dict(files)
    whole = bytearray(files[TENSORS])
    (length,) = struct.unpack("<Q", whole[:8])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(8 + length, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    files[TENSORS] = bytes(whole)
    listed(files)
    survives(tmp_path / "fuzzed", files)
