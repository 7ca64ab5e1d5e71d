"""Regressions: lists of runs, their simulation models, and their results."""
