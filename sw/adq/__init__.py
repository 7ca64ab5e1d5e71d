"""Activation-density quantization: training, export, energy and the command line."""
