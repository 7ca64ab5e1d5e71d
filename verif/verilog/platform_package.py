"""Folder with the Verilog of the platform: source, register map and a FuseSoC core."""

import json
from dataclasses import asdict

from adq.rtl.platform.host.axi_platform import AxiPlatform
from adq.rtl.platform.host.register_table import identity_of, register_map
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.verilog.portable import WAIVERS, portable_verilog

__all__ = ["TOP", "platform_files"]

TOP = "adq_platform"
"""Name of the module and of its file."""

_CORE = """CAPI=2:
name: adq:pim:{top}:{version}
description: Platform of a processing-in-memory tile, with AXI4-Lite registers and an AXI4 master

filesets:
  rtl:
    files:
      - hdl/{top}.v
    file_type: verilogSource

targets:
  default: &default
    filesets: [rtl]
    toplevel: {top}

  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


def platform_files(parameters: PlatformParameters, *, version: str) -> dict[str, str]:
    """Return the files of the folder: their paths in it, and their texts.

    ``version`` is that of the FuseSoC core.

    Raises
    ------
    ValueError
        The platform has more than one tile.
    adq.verif.synthesis.mapping.SynthesisError
        If Yosys cannot write the Verilog.

    """
    registers = {
        "module": TOP,
        "platform": asdict(parameters),
        "platform_register": identity_of(parameters),
        "clock": "aclk",
        "reset": {"port": "aresetn", "active": "low", "synchronous": True},
        "interrupt": "irq",
        **register_map(),
        "waivers": WAIVERS,
    }
    return {
        f"hdl/{TOP}.v": portable_verilog(AxiPlatform(parameters), name=TOP),
        "registers.json": json.dumps(registers, indent=2) + "\n",
        f"{TOP}.core": _CORE.format(top=TOP, version=version),
    }
