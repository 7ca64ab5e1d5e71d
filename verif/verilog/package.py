"""Folder with the Verilog of the tile: source, testbench, vectors and a FuseSoC core."""

import json
from dataclasses import asdict
from pathlib import Path

from adq.rtl.axi_stream import PREFIXES, AxiStreamTile, stream_bits, stream_fields
from adq.rtl.interface import Counter, Status
from adq.rtl.parameters import TileParameters
from adq.verif.verilog.portable import WAIVERS, portable_verilog
from adq.verif.verilog.vectors import FILES, Vectors

__all__ = ["TOP", "interface", "package_files"]

TOP = "adq_tile"
"""Name of the module and of its file."""

TESTBENCH = Path(__file__).with_name("testbench.v")


def interface(parameters: TileParameters) -> dict[str, object]:
    """Return the ports of the module for programs: streams, offsets of their fields, codes."""
    return {
        "module": TOP,
        "tile": asdict(parameters),
        "clock": "aclk",
        "reset": {"port": "aresetn", "active": "low", "synchronous": True},
        "streams": {
            prefix: {
                "tdata_bits": stream_bits(parameters, stream),
                "fields": [
                    {
                        "name": field.name,
                        "offset": field.offset,
                        "width": field.width,
                        "stride": field.size,
                        "count": field.count,
                        "signed": field.signed,
                    }
                    for field in stream_fields(parameters)
                    if field.stream == stream
                ],
            }
            for stream, prefix in PREFIXES.items()
        },
        "weight_beats": parameters.weight_beats,
        "status": {status.name: status.value for status in Status},
        "counters": {counter.name: counter.value for counter in Counter},
        "waivers": WAIVERS,
    }


def package_files(
    parameters: TileParameters, vectors: Vectors | None, *, version: str
) -> dict[str, str]:
    """Return the files of the folder: their paths in it, and their texts.

    Without vectors there is no testbench. ``version`` is that of the FuseSoC core.

    Raises
    ------
    adq.verif.synthesis.mapping.SynthesisError
        If Yosys cannot write the Verilog.

    """
    files = {
        f"hdl/{TOP}.v": portable_verilog(AxiStreamTile(parameters), name=TOP),
        "interface.json": json.dumps(interface(parameters), indent=2) + "\n",
        f"{TOP}.core": _core(version, tested=vectors is not None),
    }
    if vectors is not None:
        files[f"tb/{TOP}_tb.v"] = TESTBENCH.read_text(encoding="utf-8")
        files[f"tb/{TOP}_tb_sizes.vh"] = _sizes(parameters, vectors)
        for name in FILES:
            files[f"tb/vectors/{name}.hex"] = vectors.hexadecimal(name)
    return files


def _sizes(parameters: TileParameters, vectors: Vectors) -> str:
    """Return the sizes of streams and vectors as macros of the testbench."""
    sizes = {f"{name.upper()}_BITS": stream_bits(parameters, name) for name in PREFIXES}
    sizes |= {f"{name.upper()}_BEATS": len(getattr(vectors, name)) for name in PREFIXES}
    sizes |= {"COUNTER_BITS": parameters.counter_bits, "PATIENCE": vectors.patience}
    return "".join(f"`define {name} {value}\n" for name, value in sizes.items())


def _core(version: str, *, tested: bool) -> str:
    """Return the FuseSoC core description (CAPI2)."""
    text = f"""CAPI=2:
name: adq:pim:{TOP}:{version}
description: Processing-in-memory tile with AXI4-Stream ports

filesets:
  rtl:
    files:
      - hdl/{TOP}.v
    file_type: verilogSource
"""
    if tested:
        copied = "".join(
            f"      - tb/vectors/{name}.hex: {{file_type: user, copyto: vectors/{name}.hex}}\n"
            for name in FILES
        )
        text += f"""  tb:
    files:
      - tb/{TOP}_tb_sizes.vh: {{is_include_file: true}}
      - tb/{TOP}_tb.v: {{file_type: systemVerilogSource}}
{copied}    file_type: verilogSource
"""
    text += f"""
targets:
  default: &default
    filesets: [rtl]
    toplevel: {TOP}

  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""
    if tested:
        text += f"""
  sim:
    <<: *default
    filesets: [rtl, tb]
    toplevel: {TOP}_tb
    default_tool: icarus
    tools:
      icarus:
        iverilog_options: [-g2012]
      verilator:
        mode: binary
        verilator_options: [--timing]
"""
    return text
