"""Verilog for other projects: read, checked and simulated by tools that are not ours."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from adq.cli import main
from adq.rtl.axi_stream import AxiStreamTile, stream_bits, stream_fields
from adq.rtl.interface import job_layout, result_layout
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import random_job
from adq.verif.simulation.verilator.runner import verilator_folder
from adq.verif.verilog.package import package_files
from adq.verif.verilog.portable import WAIVERS, portable_verilog
from adq.verif.verilog.vectors import vectors_of

pytestmark = pytest.mark.testpoint("tile.verilog")

SMALL = TileParameters(rows=5, columns=16, row_blocks=2, partial_sums=3, vectors=9)
SIZES = {
    "64x64": TileParameters(),
    "smallest": TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0, vectors=1),
    "odd": TileParameters(rows=5, columns=48, row_blocks=3, partial_sums=7, vectors=100),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Folder of a small tile, with jobs of every weight width."""
    folder = tmp_path_factory.mktemp("verilog")
    rng = np.random.default_rng(1)
    jobs = [
        random_job(
            SMALL,
            rng,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=signed,
            row_blocks=row_blocks,
        )
        for weight_bits, activation_bits, signed, row_blocks in (
            (2, 1, False, 1),
            (16, 16, True, 2),
            (4, 3, False, 2),
            (8, 8, True, 1),
        )
    ]
    for name, text in package_files(SMALL, vectors_of(SMALL, jobs), version="1.0").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def run(*command, cwd):
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("size", SIZES)
def test_lint_has_nothing_to_say_and_waivers_are_few(size, tmp_path):
    text = portable_verilog(AxiStreamTile(SIZES[size]), name="adq_tile")
    (tmp_path / "adq_tile.v").write_text(text)
    lint = run(
        *(verilator_folder() / "verilator", "--lint-only", "-Wall", "--top-module", "adq_tile"),
        "adq_tile.v",
        cwd=tmp_path,
    )
    assert (lint.returncode, "%Warning" in lint.stderr) == (0, False), lint.stderr[:2000]
    assert re.findall(r"lint_off (\w+)", text) == list(WAIVERS)
    assert len(WAIVERS) <= 3


def test_there_are_no_initial_values_and_no_escaped_module_names():
    text = portable_verilog(AxiStreamTile(SMALL), name="adq_tile")
    assert not re.search(r"\binitial\b|^ *reg [^;]*=", text, re.MULTILINE)
    assert not re.search(r"^module \\", text, re.MULTILINE)


def icarus(folder, *arguments):
    """Run the testbench on Icarus Verilog, where registers start unknown."""
    if not shutil.which("iverilog"):
        pytest.skip("Icarus Verilog (iverilog) is not installed")
    folder = folder / "tb"
    command = ("iverilog", "-g2012", "-Wall", "-o", "tb.vvp")
    compiled = run(*command, "../hdl/adq_tile.v", "adq_tile_tb.v", cwd=folder)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    return run("vvp", "-N", "tb.vvp", *arguments, cwd=folder)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_testbench_passes_on_icarus_from_unknown_registers(package, seed):
    ran = icarus(package, f"+seed={seed}")
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert re.search(r"^PASS: 12 results of 4 jobs", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("place", ["lowest", "sign"])
def test_the_testbench_fails_on_a_wrong_bit_of_a_result(package, tmp_path, place):
    bit = 0 if place == "lowest" else SMALL.accumulator_width - 1
    folder = tmp_path / "damaged"
    shutil.copytree(package, folder)
    path = folder / "tb" / "vectors" / "results.hex"
    beats = [int(line, 16) for line in path.read_text().split()]
    beats[5] ^= 1 << bit
    path.write_text("".join(f"{beat:x}\n" for beat in beats))
    ran = icarus(folder)
    assert ran.returncode != 0
    assert "FAIL: result 5" in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_testbench_passes_on_verilator_from_random_registers(package, tmp_path, seed):
    from adq.verif.simulation.verilator.runner import MAKE_VARIABLES

    folder = package / "tb"
    command = ("/usr/bin/env", f"MAKEFLAGS={MAKE_VARIABLES} PYTHON3=python3")
    built = run(
        *command,
        *(verilator_folder() / "verilator", "--binary", "--timing", "--top-module"),
        *("adq_tile_tb", "--x-initial", "unique", "--x-assign", "unique"),
        *("--Mdir", tmp_path, "../hdl/adq_tile.v", "adq_tile_tb.v"),
        cwd=folder,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    power_up = ("+verilator+rand+reset+2", f"+verilator+seed+{seed}")
    ran = run(tmp_path / "Vadq_tile_tb", f"+seed={seed}", *power_up, cwd=folder)
    assert ran.returncode == 0
    assert "PASS: 12 results of 4 jobs" in ran.stdout


def test_fields_take_whole_bytes_in_order_and_none_is_left_out():
    fields = stream_fields(TileParameters())
    for stream in ("jobs", "weights", "activations", "results"):
        end = 0
        for field in (each for each in fields if each.stream == stream):
            assert (field.offset, field.offset % 8, field.size % 8) == (end, 0, 0)
            assert field.width <= field.size < field.width + 8
            end += field.count * field.size
        assert stream_bits(TileParameters(), stream) == end
    names = {each.name for each in fields}
    assert names >= {name for name, _ in job_layout(SMALL)}
    assert names >= {name for name, _ in result_layout(SMALL)} - {"last"}


def test_interface_json_tells_where_software_finds_a_field(package):
    # A 64-bit little-endian word of a job, as software writes it, by the offsets of the file.
    told = json.loads((package / "interface.json").read_text())
    jobs = {each["name"]: each for each in told["streams"]["s_axis_jobs"]["fields"]}
    values = {"weight_bits": 2, "activation_bits": 1, "signed": 0, "vectors": 3, "row_blocks": 1}
    word = sum(value << jobs[name]["offset"] for name, value in values.items())
    first = (package / "tb" / "vectors" / "jobs.hex").read_text().split()[0]
    assert int(first, 16) == word
    assert told["streams"]["m_axis_results"]["tdata_bits"] % 8 == 0


def test_the_command_writes_the_folder_and_without_vectors_no_testbench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["verilog", "--rows", "2", "--columns", "16", "--out", "out"], standalone_mode=False)
    out = tmp_path / "out"
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {"hdl/adq_tile.v", "interface.json", "adq_tile.core"}


@pytest.mark.parametrize("value", [2 + 32, 255])
def test_a_job_field_that_does_not_fit_is_refused_by_the_tile(package, tmp_path, value):
    # 34 is 2 in the 5 bits that the tile has; the wrapper must not let it pass as 2.
    folder = tmp_path / "job"
    shutil.copytree(package, folder)
    vectors = folder / "tb" / "vectors"
    lines = (vectors / "jobs.hex").read_text().split()
    lines[0] = f"{int(lines[0], 16) & ~0xFF | value:x}"
    (vectors / "jobs.hex").write_text("\n".join(lines) + "\n")
    fields = {each.name: each for each in stream_fields(SMALL) if each.stream == "results"}
    refused = 1 << stream_bits(SMALL, "results") | 1 << fields["status"].offset
    mask = 1 << stream_bits(SMALL, "results") | 0xFF << fields["status"].offset
    for name, beat in (("results", refused), ("masks", mask)):
        beats = (vectors / f"{name}.hex").read_text().split()
        (vectors / f"{name}.hex").write_text("\n".join([f"{beat:x}", *beats[1:]]) + "\n")
    ran = icarus(folder)
    # The first result is the refusal; the next one differs, since the weights are not consumed.
    assert "FAIL: result 0" not in ran.stdout
    assert "FAIL: result 1" in ran.stdout
