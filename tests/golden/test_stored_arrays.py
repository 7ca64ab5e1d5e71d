"""Arrays that lie in files: what they give, and that memory does not grow with them."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from adq.artifacts.verification import Verification
from adq.golden import artifact as artifacts
from adq.golden import samples as sample_sets
from adq.golden.artifact import Artifact, Samples, read_artifact, verify_artifact, write_artifact
from adq.golden.files.reading import FileError, open_descriptor
from adq.golden.files.stored_arrays import BLOCK, CheckedFile, StoredArray, chunks, head, limits
from adq.golden.files.tensor_files import DTYPES, narrowest, parse_tensors, write_tensors
from tests.golden_networks import digits_like_network, random_inputs

pytestmark = pytest.mark.testpoint("artifact.whole")


@pytest.fixture
def tensors():
    rng = np.random.default_rng(3)
    limits_of = {dtype: np.iinfo(dtype) for dtype in DTYPES}
    return {
        f"samples/{place}{dtype}": rng.integers(
            limits_of[dtype].min, limits_of[dtype].max, (7, 3, 2 + place), dtype, endpoint=True
        )
        for place, dtype in enumerate([*DTYPES, *DTYPES])
    } | {"é": np.arange(6, dtype=np.int16), "large": np.arange(3 * BLOCK, dtype=np.int32)}


def written(tensors, path):
    write_tensors(path, {name: (array, array.dtype) for name, array in tensors.items()})
    return path


def opened(path):
    return CheckedFile(str(path), open_descriptor(path, 2**30))


def test_a_tensor_file_is_the_one_that_safetensors_writes(tensors, tmp_path):
    assert written(tensors, tmp_path / "a").read_bytes() == safetensors.numpy.save(tensors)


def test_what_is_taken_of_a_stored_array_is_what_numpy_takes(tensors, tmp_path):
    found = parse_tensors(opened(written(tensors, tmp_path / "a")))
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        stored = found[name]
        assert (stored.shape, stored.dtype, stored.ndim, stored.size, len(stored)) == (
            *(array.shape, array.dtype, array.ndim, array.size, len(array)),
        )
        parts = [np.s_[:], np.s_[2:5], np.s_[5:2], np.s_[::2], np.s_[-1], np.s_[3:99]]
        parts += [np.s_[1:3, 1:, 0], np.s_[..., 1], np.s_[:, ::-1]] if array.ndim == 3 else []
        for part in parts:
            assert np.array_equal(stored[part], array[part]), part
        assert np.array_equal(np.concatenate(list(chunks(stored))), array)
        assert np.array_equal(head(stored, 4), array[:4])
        assert np.array_equal(stored + 1, array + 1)
        assert np.array_equal(stored.astype(np.int64), array.astype(np.int64))
        assert limits(stored) == (array.min(), array.max())
        assert narrowest(stored) == narrowest(array)


def test_a_file_that_changes_after_its_checksum_was_taken_is_not_used(tensors, tmp_path):
    path = written(tensors, tmp_path / "a")
    stored = parse_tensors(opened(path))["large"]
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(tensors["large"].tobytes()) + 2 * BLOCK)
        file.write(b"\xff")
    assert np.array_equal(stored[: BLOCK // 8], tensors["large"][: BLOCK // 8])
    with pytest.raises(FileError, match=re.escape(f"{path}: changed while it was read")):
        stored[:]
    os.truncate(path, 100)
    with pytest.raises(FileError, match="changed while it was read"):
        stored[:10]


def artifact(images):
    network = digits_like_network(4, 0)
    inputs = random_inputs(network, np.random.default_rng(5), images)
    return Artifact(
        network=network,
        samples=Samples.record(network, inputs, None),
        generator={"name": "test", "version": "1"},
    )


def test_samples_recorded_in_a_file_are_those_recorded_in_memory(tmp_path, monkeypatch):
    write_artifact(tmp_path / "memory", artifact(9))
    monkeypatch.setattr(sample_sets, "MEMORY_BYTES", 0)
    monkeypatch.setattr(sample_sets, "BATCH", 4)
    spooled = artifact(9)
    assert isinstance(spooled.samples.inputs, StoredArray)
    write_artifact(tmp_path / "spooled", spooled)
    for name in (artifacts.MANIFEST, artifacts.TENSORS):
        one, other = ((tmp_path / each / name).read_bytes() for each in ("memory", "spooled"))
        assert one == other


def test_a_difference_is_named_by_its_image_among_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_sets, "BATCH", 4)
    made = artifact(9)
    made.samples.accumulators["conv1"][6, 2, 1, 3] += 1
    write_artifact(tmp_path / "wrong", made)
    conv1, *others = verify_artifact(read_artifact(tmp_path / "wrong"))
    assert conv1.differing == 1
    assert conv1.first_difference.startswith("accumulator of image 6 at (2, 1, 3) is ")
    assert conv1.integers == made.samples.accumulators["conv1"].size + 9 * 8 * 8 * 8
    assert all(each.agrees for each in others)


MEASURED = """
import resource, sys
import numpy as np
from adq.golden.artifact import *
from adq.rtl.parameters import TileParameters
from adq.golden.mapping.utilization import use_of_network
from tests.golden_networks import digits_like_network, random_inputs
network, images = digits_like_network(8, 0), int(sys.argv[1])
inputs = random_inputs(network, np.random.default_rng(1), images)
samples = Samples.record(network, inputs, None)
write_artifact(sys.argv[2], Artifact(network=network, samples=samples,
    generator={"name": "test", "version": "1"}))
read = read_artifact(sys.argv[2])
assert all(node.agrees for node in verify_artifact(read))
use_of_network(network, read.samples, TileParameters(rows=64, columns=64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_images(tmp_path):
    def mebibytes(images):
        command = [sys.executable, "-c", MEASURED, str(images), str(tmp_path / f"of_{images}")]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    # The integers of the other images fill 32 MiB.
    assert mebibytes(2500) < mebibytes(200) + 16


@pytest.mark.parametrize("implementation", ["numpy", "onnx", "qonnx"])
def test_images_are_compared_in_batches_of_any_size(tmp_path, monkeypatch, implementation):
    monkeypatch.setattr(sample_sets, "BATCH", 1)
    write_artifact(tmp_path / "nine", artifact(9))
    found = Verification(tmp_path / "nine").samples(implementation)
    assert found.agrees
    assert found.images == (4 if implementation == "qonnx" else 9)
