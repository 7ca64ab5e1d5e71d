"""Fault injection: classifies the effects of single bit flips in a running tile."""
