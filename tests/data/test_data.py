"""Images: Parquet files made of real digits, what is wrong with some, and batches of them."""

import dataclasses
import io
import itertools
import os

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import adq.data
from adq.data.config import DataConfig
from adq.data.hub import HUB_DATA_SETS, DataError
from adq.data.images import Images
from adq.data.splits import Split, Splits

CIFAR10 = HUB_DATA_SETS["cifar10"]
TRAIN = "train-00000-of-00001.parquet"
TEST = "test-00000-of-00001.parquet"


def digit(index: int) -> np.ndarray:
    """A digit of 8x8 as 32x32 coloured pixels: uint8 (H, W, C)."""
    grey = load_digits().images[index].astype(np.uint8) * 15
    large = np.kron(grey, np.ones((4, 4), np.uint8))
    return np.stack([large, 255 - large, large // 2], axis=-1)


def encode(pixels: np.ndarray, form: str = "PNG") -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return {"bytes": file.getvalue(), "path": None}


def write(path, images: list, labels: list, *, image="img", label="label", schema=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({image: images, label: labels}, schema)
    pyarrow.parquet.write_table(table, path, row_group_size=7)


LABELS = load_digits().target


@pytest.fixture(scope="module")
def encoded():
    return [encode(digit(index)) for index in range(30)]


@pytest.fixture
def folder(tmp_path, encoded):
    write(tmp_path / "cifar10" / TRAIN, encoded[:20], LABELS[:20].tolist())
    write(tmp_path / "cifar10" / TEST, encoded[20:], LABELS[20:30].tolist())
    return tmp_path / "cifar10"


def load(folder, *, seed=0, **config) -> Images:
    config = DataConfig(name="cifar10", path=str(folder), **config)
    return adq.data.load(config, seed=seed, device="cpu", cache=folder.parent / "cache")


def test_reads_what_was_written(folder):
    images = load(folder)
    assert images.shape == (3, 32, 32)
    assert images.classes == 10
    assert images.train_labels.tolist() == LABELS[:20].tolist()
    assert images.test_labels.tolist() == LABELS[20:30].tolist()
    for tensor, first in ((images.train_pixels, 0), (images.test_pixels, 20)):
        assert tensor.dtype is torch.uint8
        for offset, pixels in enumerate(tensor.numpy()):
            np.testing.assert_array_equal(pixels.transpose(1, 2, 0), digit(first + offset))


@pytest.mark.parametrize("name", list(HUB_DATA_SETS))
def test_every_layout_of_the_hub(tmp_path, name):
    data_set = HUB_DATA_SETS[name]
    _, height, width = data_set.shape
    picture = encode(np.full((height, width, 3), 9, np.uint8), "JPEG")
    last = data_set.classes - 1
    for split in (data_set.train, data_set.test):
        for shard in range(2):
            write(
                tmp_path / "some" / "depth" / f"{split}-{shard:05}-of-00002-0123abcd.parquet",
                [picture],
                [last - shard],
                image=data_set.image,
                label=data_set.label,
            )
    config = DataConfig(name=name, path=str(tmp_path))
    images = adq.data.load(config, seed=0, device="cpu", cache=tmp_path / "cache")
    assert images.shape == data_set.shape
    assert images.train_labels.tolist() == images.test_labels.tolist() == [last, last - 1]


def test_grey_and_other_encodings_become_colours(folder, encoded):
    grey = digit(0)[..., 0]
    write(folder / TRAIN, [encode(grey), encode(digit(1), "WEBP")], [0, 1])
    assert (load(folder).train_pixels[0].numpy() == grey).all()


def test_the_usual_folder_is_named_by_the_environment(folder, monkeypatch):
    monkeypatch.setenv("ADQ_DATA", str(folder.parent))
    config = DataConfig(name="cifar10")
    images = adq.data.load(config, seed=0, device="cpu", cache=folder.parent / "cache")
    assert len(images.train_labels) == 20


def test_a_folder_may_begin_with_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert CIFAR10.folder("~/cifar10") == folder
    monkeypatch.setenv("ADQ_DATA", "~")
    assert CIFAR10.folder() == folder


def test_decoded_once_wherever_the_file_lies(folder, monkeypatch):
    first = load(folder)
    moved = folder.rename(folder.parent / "elsewhere")
    monkeypatch.setattr(Image, "open", None)
    again = load(moved)
    assert torch.equal(first.train_pixels, again.train_pixels)
    assert torch.equal(first.test_labels, again.test_labels)


def test_other_content_is_decoded_anew(folder, encoded):
    load(folder)
    write(folder / TRAIN, encoded[5:7], [3, 1])
    assert load(folder).train_labels.tolist() == [3, 1]


def test_a_damaged_cache_is_made_anew(folder):
    first = load(folder)
    files = list((folder.parent / "cache").iterdir())
    assert len(files) == 2  # nothing temporary is left
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(load(folder).train_pixels, first.train_pixels)


SCHEMA = pyarrow.schema(
    {"img": pyarrow.struct({"bytes": pyarrow.binary()}), "label": pyarrow.int64()}
)
MENDED = "get it with `adq data get cifar10`, or give the folder"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder, good: (folder / TEST).unlink(),
            r"cifar10: there is no test-\*\.parquet of cifar10: ",
        ),
        (
            lambda folder, good: (folder / TRAIN).rename(folder / "train-00001-of-00003.parquet"),
            r"cifar10: file 1 of 3 is missing: ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, good, [1], image="image"),
            r"train-.*: has the columns image, label, and cifar10 has img and label: ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [good[0]["bytes"]], [1]),
            r"train-.*: the column img is binary, not a struct with the bytes of an encoded",
        ),
        (
            lambda folder, good: write(folder / TRAIN, good, ["cat"]),
            r"train-.*: the column label is string, not an integer: ",
        ),
        (
            lambda folder, good: write(folder / TEST, good * 2, [9, 10]),
            r"test-.*: row 1: its label is 10, those of cifar10 are 0 to 9: ",
        ),
        (
            lambda folder, good: write(folder / TEST, good * 2, [9, -1]),
            r"test-.*: row 1: its label is -1, ",
        ),
        (
            lambda folder, good: write(folder / TEST, good * 2, [9, None]),
            r"test-.*: row 1: its label is None, ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [*good, None], [1, 1]),
            r"train-.*: row 1: has no image: ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [*good, {**good[0], "bytes": b""}], [1, 1]),
            r"train-.*: row 1: has no image: ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [{"bytes": b"no image", "path": None}], [1]),
            r"train-.*: row 0: its image cannot be decoded \(of no known format\)",
        ),
        (
            lambda folder, good: write(
                folder / TRAIN, [*good, {**good[0], "bytes": good[0]["bytes"][:80]}], [1, 1]
            ),
            r"train-.*: row 1: its image cannot be decoded \(",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [encode(np.zeros((8, 9), np.uint8))], [1]),
            r"train-.*: row 0: its image has 9 x 8 pixels, not 32 x 32: ",
        ),
        (
            lambda folder, good: write(folder / TRAIN, [], [], schema=SCHEMA),
            r"train-.*: holds no images: ",
        ),
        (
            lambda folder, good: (folder / TRAIN).write_bytes((folder / TRAIN).read_bytes()[:-50]),
            r"train-.*: is damaged or no Parquet file \(",
        ),
        (
            lambda folder, good: (folder / TRAIN).write_text("<html>404</html>"),
            r"train-.*: is damaged or no Parquet file \(",
        ),
    ],
)
def test_what_is_wrong_with_files(folder, encoded, change, message):
    change(folder, encoded[:1])
    with pytest.raises(DataError, match=f"{message}.*{MENDED}"):
        load(folder)


def test_a_damaged_page_inside_a_parquet_file(folder, encoded):
    content = bytearray((folder / TRAIN).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    (folder / TRAIN).write_bytes(content)
    with pytest.raises(DataError, match=r"train-.*parquet: "):
        load(folder)


def test_a_folder_of_several_data_sets_is_no_data_set(folder, encoded):
    write(folder.parent / "cifar100" / TRAIN, encoded[:1], [1])
    with pytest.raises(DataError, match="may belong to different data sets: give the folder of"):
        load(folder.parent)


def test_more_images_than_there_are(folder):
    with pytest.raises(
        DataError, match=r"\[data\] train_images asks for 21 images, and there are 20: ask for"
    ):
        load(folder, train_images=21)


def test_offline(folder, monkeypatch):
    import huggingface_hub

    def unreachable(repository, **options):
        assert repository == "uoft-cs/cifar10"
        raise ConnectionError("Network is unreachable\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(
        DataError,
        match=r"uoft-cs/cifar10 cannot be downloaded .*\(ConnectionError: Network is unreachable\)"
        r": check the network and free space, or copy its Parquet files to .*cifar10$",
    ):
        CIFAR10.download(folder)


def test_download_asks_for_the_files_that_are_read(folder, monkeypatch):
    import fnmatch

    import huggingface_hub

    def download(repository, *, repo_type, allow_patterns, local_dir):
        assert (repository, repo_type, local_dir) == ("uoft-cs/cifar10", "dataset", folder)
        for name in (f"plain_text/{TRAIN}", f"plain_text/{TEST}"):
            assert any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert CIFAR10.download(folder) == folder
    (folder / TEST).unlink()
    with pytest.raises(DataError, match="there is no test-"):
        CIFAR10.download(folder)


def labelled(labels) -> Split:
    labels = np.asarray(labels)
    pixels = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(pixels=pixels, labels=labels)


def test_a_part_has_all_classes_alike():
    split = labelled(np.random.default_rng(1).integers(0, 5, 200))
    part = split.part(50, seed=3, what="")
    assert np.bincount(part.labels).tolist() == [10] * 5
    indices = part.pixels.reshape(-1)
    assert (np.diff(indices.astype(int)) > 0).all()  # in order, none twice
    np.testing.assert_array_equal(split.labels[indices], part.labels)


def test_a_part_takes_a_rare_class_whole():
    part = labelled([0] * 20 + [2] * 3).part(10, seed=0, what="")
    assert np.bincount(part.labels).tolist() == [7, 0, 3]


def test_a_smaller_part_is_a_part_of_a_larger_one():
    split = labelled(np.arange(100) % 4)
    parts = [set(split.part(n, seed=7, what="").pixels.reshape(-1)) for n in (9, 10, 37, 100)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    other = set(split.part(37, seed=8, what="").pixels.reshape(-1))
    assert other != parts[2]


def numbered(crop: int, flip: bool, count: int = 6) -> Images:
    """Images of 2 x 5 x 4 whose pixels all differ."""
    pixels = np.arange(1, count * 40 + 1, dtype=np.uint8).reshape(count, 2, 5, 4)
    split = Split(pixels=pixels, labels=np.arange(count) % 3)
    config = DataConfig(crop=crop, flip=flip)
    return Images.from_splits(Splits(train=split, test=split), classes=3, config=config, seed=0)


def test_normalized_to_mean_0_and_variance_1():
    images = numbered(crop=2, flip=True)  # the margin does not count
    batch = images.test_batch(slice(None)).double()
    assert batch.shape == (6, 2, 5, 4)
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(2).double(), atol=1e-6, rtol=0)
    deviation = batch.std((0, 2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.ones(2).double(), atol=1e-6, rtol=0)


def test_moments_are_exact_beyond_one_part():
    pixels = np.random.default_rng(2).integers(0, 256, (2500, 2, 3, 3), dtype=np.uint8)
    split = Split(pixels=pixels, labels=np.arange(2500) % 3)
    splits = Splits(train=split, test=split)
    images = Images.from_splits(splits, classes=3, config=DataConfig(), seed=0)
    expected = pixels.astype(np.float64)
    np.testing.assert_allclose(images.mean.flatten(), expected.mean((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(images.deviation.flatten(), expected.std((0, 2, 3)), rtol=1e-7)


def test_constant_pixels_stay_finite():
    split = Split(pixels=np.full((4, 1, 2, 2), 7, np.uint8), labels=np.arange(4))
    splits = Splits(train=split, test=split)
    images = Images.from_splits(splits, classes=4, config=DataConfig(), seed=0)
    assert (images.test_batch(slice(None)) == 0).all()


def test_crop_and_flip_one_by_one():
    images = numbered(crop=2, flip=True)
    generator = torch.Generator().manual_seed(5)
    indices = torch.tensor([3, 0, 3, 5, 1] * 10)
    draws = images.draw(len(indices), generator)
    batch = images.train_batch(indices, draws)
    mean, deviation = images.mean.numpy(), images.deviation.numpy()
    for result, index, (down, right, flip) in zip(batch, indices, draws.tolist(), strict=True):
        padded = np.pad(images.test_pixels[index].numpy(), ((0, 0), (2, 2), (2, 2)))
        expected = padded[:, down : down + 5, right : right + 4]
        if flip:
            expected = expected[:, :, ::-1]
        np.testing.assert_array_equal(result, (np.float32(expected) - mean) / deviation)
    assert set(draws[:, 0].tolist()) == set(draws[:, 1].tolist()) == set(range(5))
    assert set(draws[:, 2].tolist()) == {0, 1}


def test_without_crop_and_flip_images_stay():
    images = numbered(crop=0, flip=False)
    order = torch.tensor([4, 2])
    draws = images.draw(2, torch.Generator())
    assert (draws == 0).all()
    assert torch.equal(images.train_batch(order, draws), images.test_batch(order))


def test_the_same_sequence_for_any_number_of_processes():
    images = numbered(crop=1, flip=True, count=6)
    whole, shared = (torch.Generator().manual_seed(9) for _ in range(2))
    order = torch.tensor([5, 1, 2, 0])
    for _ in range(3):
        batch = images.train_batch(order, images.draw(4, whole))
        draws = images.draw(4, shared)
        halves = [
            images.train_batch(order[part], draws[part]) for part in map(slice, (0, 2), (2, 4))
        ]
        assert torch.equal(batch, torch.cat(halves))


def test_a_generators_state_continues_the_sequence():
    images = numbered(crop=3, flip=True)
    generator = torch.Generator().manual_seed(1)
    images.draw(7, generator)
    state = generator.get_state()
    expected = images.draw(5, generator)
    assert torch.equal(images.draw(5, torch.Generator().set_state(state)), expected)


def test_crop_and_flip_draw_alike():
    """Recipes that differ in augmentation alone see their images in the same order."""
    states = []
    for crop, flip in ((0, False), (4, True)):
        generator = torch.Generator().manual_seed(2)
        numbered(crop=crop, flip=flip).draw(10, generator)
        states.append(torch.randperm(20, generator=generator))
    assert torch.equal(*states)


def test_digits():
    images = adq.data.load(DataConfig(test_fraction=0.5), seed=1, device="cpu")
    assert images.shape == (1, 8, 8)
    counts = [len(images.train_labels), len(images.test_labels)]
    assert counts == [898, 899]
    pixels = torch.cat([images.train_pixels, images.test_pixels]).reshape(-1, 64)
    np.testing.assert_array_equal(
        np.sort(pixels.double().sum(1)), np.sort(load_digits().data.sum(1))
    )


def test_digits32_are_the_same_digits_in_larger_pixels():
    small, large = (
        adq.data.load(DataConfig(name=name), seed=1, device="cpu")
        for name in ("digits", "digits32")
    )
    assert large.shape == (3, 32, 32)
    assert torch.equal(small.test_labels, large.test_labels)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        image, channel, row, column = (
            int(torch.randint(size, (), generator=generator)) for size in large.test_pixels.shape
        )
        expected = small.test_pixels[image, 0, row // 4, column // 4]
        assert large.test_pixels[image, channel, row, column] == expected


def test_to_another_device_keeps_everything():
    images = numbered(crop=1, flip=True).to("meta")
    tensors = [value for value in vars(images).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 6
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert dataclasses.astuple(images)[-3:] == (3, 1, True)


@pytest.mark.skipif(
    "ADQ_DATA" not in os.environ, reason="ADQ_DATA names no folder with real images"
)
@pytest.mark.parametrize("name", list(HUB_DATA_SETS))
def test_real_images(name, tmp_path):
    data_set = HUB_DATA_SETS[name]
    if not data_set.folder().is_dir():
        pytest.skip(f"{data_set.folder()} is not there")
    config = DataConfig(name=name, train_images=2 * data_set.classes, test_images=64)
    images = adq.data.load(config, seed=0, device="cpu")
    assert images.shape == data_set.shape
    assert torch.bincount(images.train_labels).tolist() == [2] * data_set.classes
    assert images.test_batch(slice(None)).std() == pytest.approx(1, abs=0.1)
