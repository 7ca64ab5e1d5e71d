"""Location of the project's sources: in a checkout, or installed."""

from pathlib import Path

__all__ = ["CHECKOUT", "PACKAGE"]

PACKAGE = Path(__file__).absolute().parents[1]
"""Folder of the package ``adq``, with ``rtl``, ``golden`` and ``verif`` in it: in a checkout they
are links to the top-level folders, so that paths are not resolved here."""

CHECKOUT = PACKAGE.parents[1]
"""Root of the checkout, which holds ``tests``, ``golden/vectors`` and ``docs``. It means nothing
where the package is installed from a wheel."""
