"""Verilog of a platform, kept by the hash of what it is made from."""

import dataclasses

import pytest

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.program_runs import model
from adq.verif.simulation.program_runs.model import platform_verilog

pytestmark = pytest.mark.testpoint(reason="Speed of repeated runs: no promise rests on it.")

SMALL = PlatformParameters(
    rows=16, columns=16, plane_memory_kib=1, accumulator_vectors=4, requantizers=1
)


def test_a_platform_is_converted_once(tmp_path, monkeypatch):
    text = platform_verilog(SMALL, tmp_path)
    assert text.count("\nmodule platform(") == 1

    monkeypatch.setattr(model, "Platform", lambda platform: pytest.fail("converted again"))
    assert platform_verilog(SMALL, tmp_path) == text
    with pytest.raises(pytest.fail.Exception, match="converted again"):
        platform_verilog(dataclasses.replace(SMALL, accumulator_vectors=5), tmp_path)


def test_other_sources_are_converted_anew(tmp_path, monkeypatch):
    sources = tmp_path / "package" / "rtl"
    sources.mkdir(parents=True)
    (sources / "block.py").write_text("WIDTH = 4\n")
    monkeypatch.setattr(model, "PACKAGE", sources.parent)
    calls = []

    def counted(component, *, name):
        calls.append(name)
        return f"module {name};\nendmodule\n"

    monkeypatch.setattr(model, "Platform", lambda platform: None)
    monkeypatch.setattr(model, "to_verilog", counted)
    platform_verilog(SMALL, tmp_path)
    platform_verilog(SMALL, tmp_path)
    assert len(calls) == 1
    (sources / "block.py").write_text("WIDTH = 5\n")
    platform_verilog(SMALL, tmp_path)
    assert len(calls) == 2
