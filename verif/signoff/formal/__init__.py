"""Proofs: what holds for every value of every operand, and for every pattern of waiting."""
