"""Mutants of the generated tile: what the tests of the regression kill, and what is equal."""
