"""Replaying a run: waveforms with their save files, and failures made small."""
