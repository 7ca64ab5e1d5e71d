"""Coefficients fitted to characterizations at gate level."""
