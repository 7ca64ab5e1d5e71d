"""Which images a network was trained on: read once, kept, and held against what there is now."""

import io
import json
import re

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import adq.data
from adq.cli import main
from adq.data.config import DataConfig
from adq.data.hub import DataError
from adq.data.provenance import TrainingData
from adq.export import export
from adq.runs.checkpoint import Checkpoint, CheckpointError
from adq.runs.integer_evaluation import evaluate_integers, evaluate_trained
from adq.runs.run import Run
from adq.training.config import ModelConfig, Recipe, TrainingConfig
from adq.training.session import train

TRAIN = "train-00000-of-00001.parquet"
TEST = "test-00000-of-00001.parquet"
IMAGES, LABELS = load_digits().images, load_digits().target
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def digit(index: int) -> np.ndarray:
    """A digit of 8x8 as 32x32 coloured pixels: uint8 (H, W, C)."""
    grey = IMAGES[index].astype(np.uint8) * 15
    large = np.kron(grey, np.ones((4, 4), np.uint8))
    return np.stack([large, 255 - large, large // 2], axis=-1)


def encode(pixels: np.ndarray) -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def write(path, indices, labels=None, *, names=None, change=lambda pixels: pixels) -> None:
    """Write digits as a Parquet file; ``names`` go into its metadata, as the hub has them."""
    labels = LABELS[indices] if labels is None else labels
    images = [encode(change(digit(index))) for index in indices]
    table = pyarrow.table({"img": images, "label": np.asarray(labels)})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "cifar10" / TRAIN, range(40))
    write(tmp_path / "cifar10" / TEST, range(40, 60))
    return tmp_path / "cifar10"


def load(folder, **config):
    config = DataConfig(name="cifar10", path=str(folder), **config)
    return adq.data.load(config, seed=0, device="cpu", cache=folder.parent / "cache")


# Files


def test_a_split_that_is_written_twice_is_refused(folder):
    write(folder / "train-00000-of-00002.parquet", range(20))
    write(folder / "train-00001-of-00002.parquet", range(20, 40))
    with pytest.raises(DataError, match=r"train-00000-of-00001\S* and train-00000-of-00002\S* are"):
        load(folder)
    (folder / TRAIN).unlink()
    assert load(folder).train_labels.tolist() == LABELS[:40].tolist()


@pytest.mark.parametrize("other", ["train-copy.parquet", "train-00000-of-00001-0123abcd.parquet"])
def test_a_part_that_is_there_twice_is_refused(folder, other):
    (folder / other).write_bytes((folder / TRAIN).read_bytes())
    with pytest.raises(DataError, match="are two writings of the same images: remove one"):
        load(folder)


def test_two_parts_of_the_same_content_are_refused(folder):
    (folder / TRAIN).rename(folder / "train-00000-of-00002.parquet")
    content = (folder / "train-00000-of-00002.parquet").read_bytes()
    (folder / "train-00001-of-00002.parquet").write_bytes(content)
    with pytest.raises(
        DataError, match=r"train-00001-of-00002\.parquet: holds the same as train-00"
    ):
        load(folder)


def test_hidden_files_and_folders_are_not_read(folder):
    for name in (f"._{TRAIN}", f".cache/huggingface/download/{TRAIN}", ".train-x.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no Parquet file")
    assert len(load(folder).train_labels) == 40


# Labels and class names


def test_class_names_are_read_and_kept(folder):
    write(folder / TRAIN, range(40), names=NAMES)
    assert load(folder).data.class_names == tuple(NAMES)
    assert load(folder).data.class_names == tuple(NAMES)  # from the cache


def test_labels_are_mapped_by_the_names_of_their_classes(folder):
    """A split that lacks a class counts the others from 0; their names tell which they are."""
    indices = [i for i in range(40, 60) if LABELS[i] != 3]
    names = [name for name in NAMES if name != "three"]
    numbers = [names.index(NAMES[LABELS[i]]) for i in indices]
    assert numbers != [LABELS[i] for i in indices]
    write(folder / TRAIN, range(40), names=NAMES)
    write(folder / TEST, indices, numbers, names=names)
    images = load(folder)
    assert images.test_labels.tolist() == [LABELS[i] for i in indices]
    assert images.train_labels.tolist() == LABELS[:40].tolist()
    # And where it is the training images that lack one.
    (folder / TRAIN).rename(folder / "x")
    (folder / TEST).rename(folder / TRAIN)
    (folder / "x").rename(folder / TEST)
    images = load(folder)
    assert images.train_labels.tolist() == [LABELS[i] for i in indices]
    assert images.data.class_names == tuple(NAMES)


def test_the_same_names_in_another_order(folder):
    write(folder / TRAIN, range(40), names=NAMES)
    write(folder / TEST, range(40, 60), 9 - LABELS[40:60], names=NAMES[::-1])
    assert load(folder).test_labels.tolist() == LABELS[40:60].tolist()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nought", *NAMES[1:]], "names a class 'nought' that other files of the data set do not"),
        ([*NAMES[:9], "one"], "names 10 classes, 9 of them different, and cifar10 has 10"),
        ([*NAMES, "ten"], "names 11 classes, 11 of them different, and cifar10 has 10"),
        ([*NAMES[:9], "n" * 201], "names a class in more than 200 characters, or in some that"),
        (
            [*NAMES[:9], "\x1b[31mnine"],
            "names a class in more than 200 characters, or in some that",
        ),
        (NAMES[:5], "has a label [5-9], and its metadata names 5 classes"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(folder, names, message):
    write(folder / TRAIN, range(40), names=NAMES)
    write(folder / TEST, range(40, 60), names=names)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_files_without_class_names_are_taken_as_they_are(folder):
    write(folder / TRAIN, range(40), names=NAMES)  # and the test images have none
    assert load(folder).test_labels.tolist() == LABELS[40:60].tolist()


@pytest.mark.parametrize("metadata", ["{", "[]", '{"info": {"features": {"label": {"names": 3}}}}'])
def test_metadata_of_another_kind_is_not_read(folder, metadata):
    table = pyarrow.parquet.read_table(folder / TRAIN)
    table = table.replace_schema_metadata({"huggingface": metadata})
    pyarrow.parquet.write_table(table, folder / TRAIN)
    assert load(folder).data.class_names == ()


def test_labels_that_start_at_1_are_refused(folder):
    write(folder / TRAIN, range(40), LABELS[:40] + 1)
    with pytest.raises(DataError, match=r"row \d+: its label is 10, those of cifar10 are 0 to 9"):
        load(folder)


def test_labels_that_leave_classes_out_keep_their_numbers(folder):
    odd = [i for i in range(40) if LABELS[i] % 2 and LABELS[i] > 1]
    write(folder / TRAIN, odd)
    images = load(folder)
    assert images.train_labels.tolist() == [LABELS[i] for i in odd]
    assert images.classes == 10


def test_one_image_can_be_read(folder):
    write(folder / TRAIN, [7])
    images = load(folder)
    assert images.train_labels.tolist() == [LABELS[7]]
    assert torch.isfinite(images.test_batch(slice(None))).all()


# What was trained on


def test_what_is_kept_of_the_images(folder):
    data = load(folder).data
    pixels = np.stack([digit(index) for index in range(40)]).astype(float)
    assert (data.train_images, data.test_images, data.classes) == (40, 20, 10)
    np.testing.assert_allclose(data.mean, pixels.mean((0, 1, 2)))
    np.testing.assert_allclose(data.deviation, pixels.std((0, 1, 2)))
    assert data.levels == (pixels.min(), pixels.max())
    assert TrainingData.from_json(json.loads(json.dumps(data.to_json()))) == data


def test_every_image_and_label_counts_in_the_digest(folder):
    before = load(folder).data
    assert before.differences(load(folder).data) == []
    write(folder / TRAIN, range(40), [*LABELS[:39], (LABELS[39] + 1) % 10])
    assert before.differences(load(folder).data) == ["other training images"]
    write(folder / TRAIN, range(39))
    assert before.differences(load(folder).data) == ["39 training images instead of 40"]
    write(folder / TRAIN, range(40))
    write(folder / TEST, [*range(40, 59), 0])
    assert before.differences(load(folder).data) == ["other test images"]


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [1.0, 2.0]},
        {"mean": ["1", "2", "3"]},
        {"deviation": [0.0, 1.0, 1.0]},
        {"classes": "10"},
        {"classes": True},
        {"class_names": [3]},
        {"more": 1},
    ],
)
def test_damage_in_what_is_kept_is_told(folder, change):
    with pytest.raises(DataError, match=r"of the training images (is|are) damaged"):
        TrainingData.from_json(load(folder).data.to_json() | change)
    checkpoint = Checkpoint(
        network="mixed", recipe={}, input_shape=(3, 32, 32), classes=10, channels={}, bits={},
        state={}, densities={}, epoch=1, history=[], controller={}, seconds=0.0, progress=None,
        data=load(folder).data.to_json() | change, path="run/checkpoint.pt",
    )  # fmt: skip
    with pytest.raises(CheckpointError, match=r"run/checkpoint\.pt: .* damaged: train again"):
        _ = checkpoint.training_data


@pytest.fixture
def recipe(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)  # where decoded images are kept
    return Recipe(
        training=TrainingConfig(epochs=2, batch_size=16, baseline=False, checkpoint_steps=1),
        model=ModelConfig(name="digits"),
        data=DataConfig(name="cifar10", path=str(folder)),
    )


def brighter(pixels):
    return (pixels // 2 + 128).astype(np.uint8)


@pytest.fixture
def run(recipe, tmp_path):
    run = Run.create(tmp_path / "run", recipe)
    train(recipe, run)
    return run


def test_a_network_is_evaluated_as_it_was_trained(run, folder, tmp_path):
    """Training images that are replaced afterwards change nothing but what is said of them."""
    kept = Checkpoint.load(run.mixed).training_data
    assert run.read_metrics()["data"] == kept.to_json()
    before = evaluate_integers(run)
    assert (before.other_data, before.data) == ((), kept)
    write(folder / TRAIN, range(60, 100), change=brighter)
    assert not np.allclose(load(folder).data.mean, kept.mean)
    after = evaluate_integers(run)
    np.testing.assert_array_equal(after.inputs, before.inputs)
    assert after.accuracy == before.accuracy
    assert after.data.mean == kept.mean
    assert after.other_data == ("other training images",)
    artifact = export(run, tmp_path / "artifact", images=4)
    assert artifact.generator["data"]["mean"] == list(kept.mean)
    assert artifact.generator["other_data"] == ["other training images"]
    result = CliRunner().invoke(main, ["evaluate", str(run.path), "--out", str(tmp_path / "out")])
    text = " ".join(result.output.split())
    assert "The data set is not that of the training: other training images." in text


def test_other_classes_are_refused(folder, recipe, tmp_path):
    for file, part in ((TRAIN, range(40)), (TEST, range(40, 60))):
        write(folder / file, part, names=NAMES)
    run = Run.create(tmp_path / "named", recipe)
    train(recipe, run)
    names = [*NAMES[:8], "nine", "eight"]
    for file, part in ((TRAIN, range(40)), (TEST, range(40, 60))):
        write(folder / file, part, names=names)
    message = "class 8 was 'eight' when the network was trained, and is 'nine' in these images"
    with pytest.raises(DataError, match=message):
        evaluate_trained(run)


class StopError(Exception):
    pass


def interrupted(recipe, path, *, steps) -> Run:
    """A run that stopped after some steps."""
    from adq.training.observer import Observer

    class Stop(Observer):
        left = steps

        def step(self, network):
            self.left -= 1
            if not self.left:
                raise StopError

    run = Run.create(path, recipe)
    with pytest.raises(StopError):
        train(recipe, run, Stop())
    return run


@pytest.mark.parametrize(
    ("indices", "difference"),
    [
        (range(60, 100), "other training images"),
        (range(30), "30 training images instead of 40"),
        (range(100, 160), "60 training images instead of 40"),
    ],
)
@pytest.mark.parametrize("steps", [2, 4])
def test_a_run_does_not_go_on_with_other_data_unless_told_to(
    folder, recipe, tmp_path, indices, difference, steps
):
    run = interrupted(recipe, tmp_path / "run", steps=steps)
    kept = Checkpoint.load(run.mixed).training_data
    write(folder / TRAIN, indices, change=brighter)
    with pytest.raises(DataError, match="was trained on other data than there is now") as error:
        train(recipe, Run.resume(run.path, recipe))
    assert re.search(rf"\({difference}\): put the data back, add --other-data", str(error.value))
    metrics = train(recipe, Run.resume(run.path, recipe), other_data=True)
    assert metrics["mixed"]["epochs"] == 2
    assert metrics["data"]["train_images"] == len(indices)
    assert metrics["data"]["mean"] == list(kept.mean)  # as the network knows its images
    assert metrics["data"]["train_digest"] != kept.train_digest


def test_other_data_is_for_a_run_that_goes_on(tmp_path):
    recipe = "configs/train/digits.toml"
    arguments = ["train", recipe, "--out", str(tmp_path / "run"), "--other-data"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "--other-data is for a run that goes on: give --resume" in " ".join(
        result.output.split()
    )


def test_a_checkpoint_from_before_the_images_were_kept(run):
    checkpoint = Checkpoint.load(run.mixed)
    content = torch.load(run.mixed, weights_only=True)
    del content["data"]
    torch.save(content, run.mixed)
    older = Checkpoint.load(run.mixed)
    assert older.training_data is None
    assert checkpoint.training_data is not None
    assert evaluate_trained(run).other_data == ()


def test_digits_have_a_digest_too():
    data = adq.data.load(DataConfig(), seed=0, device="cpu").data
    other = adq.data.load(DataConfig(), seed=1, device="cpu").data
    assert data.levels == (0, 16)
    assert data.train_images + data.test_images == len(LABELS)
    assert data.differences(other) == ["other training images", "other test images"]
