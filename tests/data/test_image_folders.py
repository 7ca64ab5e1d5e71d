"""Folders of image files: whatever they hold in practice is read as it is, or refused."""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import adq.data
from adq.cli import main
from adq.data import folders
from adq.data.config import DataConfig
from adq.data.hub import DataError
from adq.fields import ConfigError

pytestmark = pytest.mark.testpoint(reason="Training: software above the contracts.")


def picture(seed, channels=3, size=(6, 8)):
    shape = (*size, channels) if channels > 1 else size
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels, form="PNG", mode=None, **options):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Two classes of colours, 3 training images and 1 test image each."""
    for number, (split, name, file) in enumerate(
        (split, name, file)
        for split, files in (("train", "abc"), ("test", "d"))
        for name in ("cat", "dog")
        for file in files
    ):
        path = tmp_path / "pictures" / split / name / f"{file}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(number)))
    return tmp_path / "pictures"


def load(folder):
    config = DataConfig(name="folder", path=str(folder))
    return adq.data.load(config, seed=0, device="cpu", cache=folder.parent / "cache")


def refused(folder, message):
    with pytest.raises(DataError, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_images_are_read_as_they_are(folder):
    images = load(folder)
    assert images.shape == (3, 6, 8)
    assert images.classes == 2
    assert images.data.class_names == ("cat", "dog")
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test_labels.tolist() == [0, 1]
    for pixels, seeds in ((images.train_pixels, range(6)), (images.test_pixels, range(6, 8))):
        for found, seed in zip(pixels.numpy(), seeds, strict=True):
            np.testing.assert_array_equal(found.transpose(1, 2, 0), picture(seed))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_names_of_the_test_images(folder, name):
    (folder / "test").rename(folder / name)
    assert load(folder).test_labels.tolist() == [0, 1]
    (folder / "test").mkdir()
    refused(folder, f"has test and {name}: leave one")


def test_decoded_once(folder, monkeypatch):
    before = load(folder)
    monkeypatch.setattr(folders, "decode", lambda *_: pytest.fail("decoded again"))
    assert load(folder).data == before.data
    for cached in (folder.parent / "cache").iterdir():
        cached.write_bytes(cached.read_bytes()[:100])
    monkeypatch.undo()
    assert load(folder).data == before.data


def test_other_images_or_classes_are_decoded_anew(folder):
    before = load(folder).data
    (folder / "train" / "dog" / "a.png").write_bytes(encoded(picture(99)))
    changed = load(folder).data
    assert changed.train_digest != before.train_digest
    assert changed.test_digest == before.test_digest
    (folder / "train" / "dog" / "a.png").rename(folder / "train" / "cat" / "e.png")
    assert load(folder).data.train_digest != changed.train_digest
    assert load(folder).train_labels.tolist() == [0, 0, 0, 0, 1, 1]


def grey(folder):
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        path.write_bytes(encoded(picture(number, channels=1)))


def test_greys_have_one_channel_unless_an_image_is_coloured(folder):
    grey(folder)
    images = load(folder)
    assert images.shape == (1, 6, 8)
    first = sorted(folder.rglob("train/cat/*"))[0]
    number = sorted(folder.rglob("*.png")).index(first)
    np.testing.assert_array_equal(images.train_pixels[0, 0].numpy(), picture(number, channels=1))
    (folder / "train" / "dog" / "z.jpg").write_bytes(encoded(picture(99), "JPEG"))
    images = load(folder)
    assert images.shape == (3, 6, 8)
    for channel in images.train_pixels[0].numpy():
        np.testing.assert_array_equal(channel, picture(number, channels=1))


DEPTHS = (picture(50, channels=1).astype(np.uint16) << 8) + 77


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("bits.png", encoded(Image.fromarray(picture(50, 1) > 99)), (picture(50, 1) > 99) * 255),
        ("16 bits.png", encoded(DEPTHS), picture(50, 1)),
        ("plain.bmp", encoded(picture(50, 1), "BMP"), picture(50, 1)),
        ("without an ending", encoded(picture(50, 1)), picture(50, 1)),
        ("UPPER.PNG", encoded(picture(50, 1)), picture(50, 1)),
        ("a jpeg by another name.png", encoded(picture(50, 1), "TIFF"), picture(50, 1)),
    ],
)
def test_kinds_of_grey_images(folder, name, content, expected):
    grey(folder)
    (folder / "train" / "cat" / name).write_bytes(content)
    images = load(folder)
    number = sorted(os.listdir(folder / "train" / "cat")).index(name)
    np.testing.assert_array_equal(images.train_pixels[number, 0].numpy(), expected)


def palette(**options):
    image = Image.fromarray(picture(51, 1) % 2, "P")
    image.putpalette([200, 0, 0, 0, 0, 90])
    return encoded(image, **options)


ALPHA = picture(52, channels=4)
INKS = Image.frombytes("CMYK", (8, 6), bytes([0, 255, 255, 0]) * 48)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (palette(), np.array([[200, 0, 0], [0, 0, 90]])[picture(51, 1) % 2]),
        (palette(transparency=0), np.array([[0, 0, 0], [0, 0, 90]])[picture(51, 1) % 2]),
        (encoded(ALPHA), ALPHA[..., :3] * (ALPHA[..., 3:] / 255)),
        (encoded(INKS, "TIFF"), np.broadcast_to([255, 0, 0], (6, 8, 3))),
        (encoded(picture(53).swapaxes(0, 1)[:, ::-1], exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12"
                 b"\0\3\0\0\0\1\0\x08\0\0\0\0\0\0"), picture(53)),
    ],
    ids=["palette", "transparent palette", "alpha", "CMYK", "sideways"],
)  # fmt: skip
def test_kinds_of_coloured_images(folder, content, expected):
    (folder / "train" / "cat" / "0.png").write_bytes(content)
    found = load(folder).train_pixels[0].numpy().transpose(1, 2, 0)
    assert np.abs(found.astype(float) - expected).max() <= 1


FRAMES = [Image.fromarray(picture(seed)) for seed in (60, 61)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be decoded"),
        (b"a text that is named .png", "cannot be decoded .of no known format"),
        (encoded(picture(60))[:70], "cannot be decoded"),
        (encoded(picture(60))[:-60], "cannot be decoded"),
        (encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "has 2 frames"),
        (encoded(picture(60, size=(8, 6))), r"has 6 x 8 pixels, and .*a\.png has 8 x 6"),
        (encoded(picture(60, size=(1, 5000))), "has 5000 x 1 pixels: a side of at most 4096"),
        (encoded(Image.fromarray(picture(60, 1).astype(np.float32)), "TIFF"), "is of mode F"),
        (encoded(picture(0)), r"z\.png: holds the same as .*a\.png: remove one of the two"),
        (encoded(picture(6)), r"test.cat.d\.png: holds the same as .*z\.png: remove one"),
    ],
)
def test_files_that_cannot_be_trained_on(folder, content, message):
    (folder / "train" / "cat" / "z.png").write_bytes(content)
    refused(folder, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "train"), "has no folders train and test: put"),
        (lambda folder: shutil.rmtree(folder / "test"), "has no folders train and test: put"),
        (lambda folder: shutil.rmtree(folder), "has no folders train and test: put"),
        (lambda folder: shutil.rmtree(folder / "train" / "dog"), "holds 1 folders of classes: two"),
        (lambda folder: (folder / "train" / "eel").mkdir(), "eel: holds no image: put some there"),
        (
            lambda folder: (folder / "test" / "dog").rename(folder / "test" / "Dog"),
            "Dog: there is no such class among the training images",
        ),
        (
            lambda folder: (folder / "train" / "labels.csv").write_text("1,2"),
            r"labels\.csv: is not in the folder of a class",
        ),
        (
            lambda folder: (folder / "train" / "cat" / "notes.txt").write_text("cats"),
            r"notes\.txt: cannot be decoded",
        ),
        (
            lambda folder: (folder / "train" / "cat" / "more").mkdir(),
            "more: is a folder, .*: only images may lie in the folder of a class",
        ),
        (lambda folder: os.mkfifo(folder / "train" / "cat" / "0"), "0: is a pipe, "),
        (
            lambda folder: (folder / "train" / "cat" / "0").symlink_to("/dev/zero"),
            "0: is a device, ",
        ),
        (
            lambda folder: (folder / "train" / "cat" / "0").symlink_to("nowhere"),
            "0: cannot be read .No such file",
        ),
        (
            lambda folder: (folder / "train" / "cat").rename(folder / "train" / "\x1b[31mcat"),
            "a class has a name of .* cannot be printed",
        ),
        (
            lambda folder: [path.unlink() for path in folder.glob("test/*/*")],
            "test: holds no images",
        ),
    ],
)
def test_what_is_wrong_with_folders(folder, change, message):
    change(folder)
    refused(folder, message)


def test_hidden_files_are_not_read(folder):
    before = load(folder).data
    (folder / ".git").mkdir()
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "cat" / ".DS_Store").write_bytes(b"\0\1")
    (folder / "test" / "cat" / "Thumbs.db").write_bytes(b"\0\1")
    assert load(folder).data == before


def test_a_link_to_an_image_is_the_image(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes(encoded(picture(70)))
    (folder / "train" / "cat" / "z.png").symlink_to(tmp_path / "elsewhere")
    assert len(load(folder).train_labels) == 7


def test_a_class_without_test_images_keeps_its_number(folder):
    shutil.rmtree(folder / "test" / "cat")
    images = load(folder)
    assert images.test_labels.tolist() == [1]
    assert images.classes == 2


def test_a_recipe_needs_the_path():
    with pytest.raises(ConfigError, match="path is missing: give the folder"):
        DataConfig(name="folder")


def test_the_command_checks_a_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    arguments = ["data", "check", "folder", "--path", str(folder)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "3 x 6 x 8" in result.output
    (folder / "train" / "cat" / "z.png").write_bytes(b"")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {folder / 'train' / 'cat' / 'z.png'}: cannot be dec")
    for wrong in (["data", "get", "folder"], ["data", "check", "folder"]):
        result = CliRunner().invoke(main, wrong)
        assert result.exit_code == 2
        assert "adq data check folder --path FOLDER" in result.stderr
