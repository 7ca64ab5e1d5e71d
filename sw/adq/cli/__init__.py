"""Command line interface."""

from adq.cli.application import main

__all__ = ["main"]
