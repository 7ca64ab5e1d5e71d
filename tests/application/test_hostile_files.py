"""Files from strangers: JSON, checkpoints, and what stands in the place of a file."""

import io
import json
import os
import pickle
import shutil
import socket
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from adq.cli import main
from adq.console import Console, markdown_code, markdown_text, print_whole
from adq.escaping import visible
from adq.golden.artifact import MANIFEST, TENSORS, ArtifactError, read_artifact
from adq.golden.files.json_reader import JsonError, Schema, check_signature, parse, read_json, sign
from adq.golden.files.reading import FileError, open_file, read_file
from adq.runs.result_tables import markdown
from adq.runs.results import ResultError, read_result
from adq.runs.run import Run, RunError
from tests.kept_results import history, metrics
from tests.places import ROOT

MIXED = ROOT / "golden" / "vectors" / "digits" / "mixed"


def adq(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# Paths that are no plain files


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Paths that are no plain files, by kind."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("link").symlink_to("plain")
    Path("plain").write_bytes(b"12345")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        yield {"pipe": "pipe", "folder": "folder", "socket": "socket", "device": "/dev/zero"}


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device"])
def test_what_is_no_file_is_refused_without_waiting(stand_ins, kind):
    with pytest.raises(FileError, match=f"is a {kind}, it must be a plain file"):
        read_file(stand_ins[kind], 100)


def test_links_are_followed_where_the_user_names_them_alone(stand_ins):
    assert read_file("link", 5) == b"12345"
    with pytest.raises(FileError, match="link: is a symbolic link: put the file itself in its"):
        read_file("link", 5, links=False)


def test_a_large_file_costs_nothing(tmp_path):
    place = tmp_path / "sparse"
    with place.open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    with pytest.raises(FileError, match="has 1099511627776 bytes, expected at most 1000"):
        read_file(place, 1000)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_file_that_grows_is_told(tmp_path, monkeypatch):
    place = tmp_path / "growing"
    place.write_bytes(b"123")
    real = os.fstat

    def before_it_grew(descriptor):
        status = real(descriptor)
        with place.open("ab") as file:
            file.write(b"4")
        return status

    monkeypatch.setattr("adq.golden.files.reading.os.fstat", before_it_grew)
    with pytest.raises(FileError, match="changed while it was read"):
        read_file(place, 1000)


@pytest.mark.parametrize("name", [MANIFEST, TENSORS])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "device"])
def test_what_stands_in_the_place_of_an_artifacts_file(tmp_path, name, kind):
    shutil.copytree(MIXED, tmp_path / "mixed")
    place = tmp_path / "mixed" / name
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero" if kind == "device" else MIXED / name)
    with pytest.raises(ArtifactError) as error:
        read_artifact(tmp_path / "mixed")
    said = {"pipe": "is a pipe", "folder": "is a folder"}.get(kind, "is a symbolic link")
    assert str(error.value).startswith(f"{place}: {said}")


def test_the_bytes_that_were_checked_are_those_that_are_used(tmp_path, monkeypatch):
    """No file of an artifact is opened twice: it could have been replaced in between."""
    opened = []
    real = os.open

    def count(path, *rest, **options):
        opened.append(Path(path).name)
        return real(path, *rest, **options)

    monkeypatch.setattr("adq.golden.files.reading.os.open", count)
    read_artifact(MIXED)
    assert sorted(opened) == sorted([MANIFEST, TENSORS])


# JSON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"[" * 200_000, "nested deeper than 64"),
        (b"[" * 200_000 + b"]" * 200_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"-Infinity", "-Infinity is no JSON number"),
        (b"1e999", "1e999 is beyond the largest number"),
        (b"9" * 100_000, "is beyond 64 bits"),
        (b"18446744073709551616", "18446744073709551616 is beyond 64 bits"),
        (b'{"a": 1, "a": 2}', "an object has the same key twice"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b"\xff", "can't decode byte"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_is_no_json(text, message):
    with pytest.raises(JsonError) as error:
        parse(text)
    assert message in str(error.value)
    assert len(str(error.value)) < 300


def test_json_at_the_limits():
    assert parse(b"[" * 64 + b"]" * 64)
    assert parse(b"18446744073709551615") == 2**64 - 1
    assert parse(b"-1.5e308") == -1.5e308


def test_integers_are_integers():
    schema = Schema({"type": "object", "properties": {"n": {"type": "integer"}}})
    schema.check({"n": 1})
    for wrong in (1.0, True, "1"):
        with pytest.raises(JsonError, match=r"\$\.n: "):
            schema.check({"n": wrong})


def test_the_reader_names_the_file(tmp_path):
    place = tmp_path / "some.json"
    place.write_text('{"n": "\\u001b[2J"}')
    with pytest.raises(JsonError) as error:
        read_json(place, Schema({"additionalProperties": {"type": "integer"}}))
    assert str(error.value).startswith(f"{place}: $.n: ")
    assert "\x1b" not in str(error.value)


def test_every_changed_bit_of_a_signed_text_is_found():
    text = sign({"a": 1, "b": [1.5, None]})
    check_signature(text)
    assert json.loads(text)["a"] == 1
    for bit in range(8 * len(text)):
        damaged = bytearray(text)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(JsonError):
            check_signature(bytes(damaged))


# A run's metrics and history


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    run.write_history(history(4))
    run.write_metrics(metrics())
    return run


def test_metrics_and_history_come_back(run):
    assert run.read_metrics() == json.loads(json.dumps(metrics()))
    assert run.read_history() == history(4)


@pytest.mark.parametrize("name", ["metrics.json", "history.jsonl"])
def test_every_changed_byte_of_a_run_is_found(run, name):
    place = run.path / name
    whole = place.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        place.write_bytes(damaged)
        with pytest.raises(RunError, match=f"{name}: .*: train again"):
            run.read_metrics()


def test_lines_that_are_missing_are_found(run):
    lines = run.history.read_text().splitlines(keepends=True)
    for kept in (lines[:-1], lines[1:], lines[:1] + lines[2:], [lines[1], lines[0], *lines[2:]]):
        run.history.write_text("".join(kept))
        with pytest.raises(RunError, match=r"history\.jsonl: "):
            run.read_metrics()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["mixed"].update(accuracy="1.0"), r"\$\.mixed\.accuracy: '1.0' is not of type"),
        (lambda m: m["mixed"].update(training_complexity=-3), r"-3 is less than the minimum"),
        (lambda m: m["mixed"].pop("iterations"), "'iterations' is a required property"),
        (lambda m: m["mixed"]["iterations"][0]["channels"].update(conv1=-4), "-4 is less than"),
        (lambda m: m["mixed"]["iterations"][0]["density"].update(conv1=1.5), "1.5 is greater"),
        (lambda m: m["mixed"]["iterations"][0]["bits"].update(conv1="7"), "'7' is not of type"),
        (lambda m: m.update(versions=[]), r"\$\.versions: \[\] is not of type 'object'"),
        (lambda m: m.pop("recipe"), "'recipe' is a required property"),
    ],
)
def test_fields_have_types_and_ranges_though_they_are_signed(run, tmp_path, change, message):
    changed = json.loads(json.dumps(metrics()))
    change(changed)
    run.metrics.write_bytes(sign({**changed, "history_sha256": ""}))
    with pytest.raises(RunError, match=message):
        run.read_metrics()
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(changed))
    with pytest.raises(ResultError, match=message):
        read_result(kept)


def test_a_result_that_is_no_number_is_refused(tmp_path):
    kept = tmp_path / "kept.json"
    text = json.dumps({**metrics(), "history": history(1)})
    kept.write_text(text.replace('"density": {"conv1": 0.5', '"density": {"conv1": NaN'))
    with pytest.raises(ResultError, match="NaN is no JSON number"):
        read_result(kept)


@pytest.mark.parametrize("command", [["figures"], ["energy"]])
def test_deep_json_ends_in_one_line(tmp_path, command):
    place = tmp_path / "deep.json"
    place.write_bytes(b"[" * 200_000)
    result = adq(*command, place)
    assert result.exit_code == 2
    assert "nested deeper than 64" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# Checkpoints

torch = pytest.importorskip("torch", reason="checkpoints need the extra train")

from adq.runs.checkpoint import Checkpoint, CheckpointError  # noqa: E402

pytestmark = pytest.mark.testpoint("artifact.strangers")


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def checkpoint(**changes) -> dict:
    """Plain fields of a checkpoint of a small network."""
    fields = {
        "format": 2,
        "network": "mixed",
        "recipe": {"training": {"epochs": 1}, "data": {"name": "digits"}, "model": {"name": "x"}},
        "input_shape": (1, 8, 8),
        "classes": 10,
        "channels": {"conv1": 16},
        "bits": {"conv1": 16},
        "state": {"weight": torch.ones(3)},
        "densities": {"conv1": 0.5},
        "epoch": 1,
        "history": [],
        "controller": {},
        "seconds": 1.0,
        "progress": None,
    }
    return fields | changes


def test_a_checkpoint_of_plain_fields(tmp_path):
    torch.save(checkpoint(), tmp_path / "checkpoint.pt")
    assert Checkpoint.load(tmp_path / "checkpoint.pt").bits == {"conv1": 16}


def test_a_checkpoint_runs_nothing(tmp_path):
    torch.save(checkpoint(controller=Payload(tmp_path / "ran")), tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        Checkpoint.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        Checkpoint.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bits", "16", r"\$\.bits: '16' is not of type 'object'"),
        ("bits", {"conv1": "16"}, r"\$\.bits\.conv1: '16' is not of type 'integer'"),
        ("channels", {"conv1": -1}, "-1 is less than the minimum of 1"),
        ("densities", {"conv1": float("nan")}, "nan is not of type 'number'"),
        ("densities", {"conv1": 3.0}, "3.0 is greater than the maximum of 1"),
        ("input_shape", (1, 2**40, 8), "is greater than the maximum"),
        ("input_shape", (8, 8), r"\(8, 8\) is too short"),
        ("classes", 2**60, "is greater than the maximum"),
        ("recipe", [], r"\$\.recipe: \[\] is not of type 'object'"),
        ("history", [{"epoch": 1}], "is a required property"),
        ("seconds", "long", r"\$\.seconds: 'long' is not of type"),
    ],
)
def test_fields_of_a_checkpoint_have_types_and_ranges(tmp_path, field, value, message):
    torch.save(checkpoint(**{field: value}), tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=message) as error:
        Checkpoint.load(tmp_path / "checkpoint.pt")
    assert "checkpoint.pt: is damaged" in str(error.value)


def test_a_part_that_claims_more_than_the_file_has(tmp_path):
    """288 GB of zeros that were packed into a small file, or that are claimed alone."""
    place = tmp_path / "checkpoint.pt"
    torch.save(checkpoint(), place)
    with zipfile.ZipFile(place) as parts:
        whole = {part.filename: parts.read(part) for part in parts.infolist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, data in whole.items():
            parts.writestr(name, data + bytes(2**26 if name.endswith("data/0") else 0))
    assert len(packed.getvalue()) < 2**20
    claimed = bytearray(place.read_bytes())
    directory = claimed.index(b"PK\x01\x02", claimed.rindex(b"data/0") - 60)
    claimed[directory + 20 : directory + 28] = (2**32 - 2).to_bytes(4, "little") * 2
    for data in (packed.getvalue(), bytes(claimed)):
        place.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
            Checkpoint.load(place)
        assert tracemalloc.get_traced_memory()[1] < 2**23
        tracemalloc.stop()


def test_a_pipe_in_the_place_of_a_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: is a pipe, it must be a plain"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_an_open_file_is_the_one_that_was_looked_at(tmp_path):
    place = tmp_path / "plain"
    place.write_bytes(b"old")
    with open_file(place, 10) as file:
        place.unlink()
        place.write_bytes(b"new")
        assert file.read() == b"old"


# Names


HOSTILE = "a\x1b[2J\x1b]0;title\x07b\u202egpj.exe\u200b\x9b31m\r\x00"


def test_a_terminal_obeys_nothing_that_a_name_holds():
    for ending in ("", "\n", " [red]x[/red]"):
        text = HOSTILE + ending
        shown = visible(text)
        assert all(each.isprintable() or each == "\n" for each in shown)
        assert visible(shown) == shown
    assert visible(HOSTILE) == ("a\\x1b[2J\\x1b]0;title\\x07b\\u202egpj.exe\\u200b\\x9b31m\\r\\x00")
    assert visible("Grün, 網路, é: 3 µm²\t│\n") == "Grün, 網路, é: 3 µm²\t│\n"


def printed(show) -> str:
    out = io.StringIO()
    show(Console(file=out, markup=False, width=200))
    return out.getvalue()


def table(console):
    grid = Table(title=HOSTILE)
    grid.add_column(HOSTILE)
    grid.add_row(HOSTILE)
    grid.add_row(Text(HOSTILE))
    console.print(grid)


@pytest.mark.parametrize(
    "show",
    [
        lambda console: console.print(HOSTILE),
        lambda console: console.print(HOSTILE, style="red", highlight=False),
        lambda console: console.print(Text(HOSTILE)),
        lambda console: console.print({"name": HOSTILE}),
        lambda console: console.print(Text.from_markup(HOSTILE)),
        lambda console: console.rule(HOSTILE),
        lambda console: console.log(HOSTILE),
        table,
        lambda console: print_whole(Table(HOSTILE, title=HOSTILE), console),
    ],
)
def test_every_way_to_print_shows_and_does_not_obey(show, capsys):
    text = printed(show) or capsys.readouterr().out
    assert "\\u202egpj.exe" in text
    for obeyed in "\x1b\x07\u202e\u200b\x9b\r\x00":
        assert obeyed not in text


def test_no_module_prints_through_another_console():
    """The escape is in one place; nothing of the package goes around it."""
    for module in (ROOT / "sw" / "adq").rglob("*.py"):
        if module.name != "console.py":
            assert "from rich.console import Console" not in module.read_text(), module


def test_an_error_shows_what_a_folder_is_called(tmp_path):
    result = adq("verify", tmp_path / "\x1b[31mred\u202e")
    assert result.exit_code == 2
    assert "\\x1b[31mred\\u202e: no such folder" in result.stderr
    assert "\x1b" not in result.stderr


def test_markdown_shows_what_a_name_is():
    assert markdown_text("<script>a|b</script>") == "&lt;script&gt;a\\|b&lt;/script&gt;"
    assert markdown_text("[x](http://y)\n# z *b*") == "\\[x\\](http://y) \\# z \\*b\\*"
    assert markdown_code("cifar10-vgg19") == "`cifar10-vgg19`"
    assert markdown_code("a`<b>|") == "<code>a\\`&lt;b&gt;\\|</code>"


def test_names_of_a_result_are_text_on_a_page(tmp_path):
    content = metrics()
    content["device"] = "<img src=x onerror=alert(1)> | GPU\n# title"
    content["versions"] = {"torch": "[2](javascript:1)"}
    place = tmp_path / "kept.json"
    place.write_text(json.dumps(content))
    page = markdown({"kept": read_result(place)}, ["kept"])
    assert "&lt;img src=x onerror=alert(1)&gt; \\| GPU \\# title" in page
    assert "torch \\[2\\](javascript:1)" in page
    assert "<img" not in page


def test_work_without_end_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("adq.energy.workload.MAXIMUM_WORDS", 1000)
    result = adq("energy", MIXED, "--out", tmp_path)
    assert result.exit_code == 2
    assert "activations on the tile, more than the 1,000 whose switching can be" in result.stderr
