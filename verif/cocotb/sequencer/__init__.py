"""Sequencer."""
