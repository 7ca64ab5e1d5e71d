"""Regressions: lists of runs, their models, and what became of them."""
