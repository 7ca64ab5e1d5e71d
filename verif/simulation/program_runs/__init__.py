"""Runs of programs on the platform in RTL, from one start to one interrupt."""
