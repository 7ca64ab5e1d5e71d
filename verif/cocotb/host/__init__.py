"""Tests of the platform with its registers and its bus."""
