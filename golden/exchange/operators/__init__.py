"""Readers of a file's operators, a table of them by kind."""
