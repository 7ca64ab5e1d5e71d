"""The command line."""

from adq.cli.application import main

__all__ = ["main"]
