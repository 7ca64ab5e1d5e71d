"""Mutation of the generated tile: which mutants the tests kill, and which are equivalent."""
