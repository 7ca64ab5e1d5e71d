"""Formal proofs: properties that hold for all operand values and all stall patterns."""
