"""Replay of a run: waveforms with save files, and reduction of failures to small cases."""
