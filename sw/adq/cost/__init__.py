"""Costs of networks by arithmetic: multiplications, bit operations and published energies.

- ``work``: work of each layer per image
- ``models``: published energy models
- ``metrics``: cost metrics of a training run
- ``sources``: reads the layers of a network from a file, an architecture or a module

Nothing in this package is measured on this project's hardware; ``adq.energy`` is.
"""
