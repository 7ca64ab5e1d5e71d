"""Policies: which bits each layer gets at the end of an iteration.

- ``policy``: what a policy sees and gives, and the table of policies
- ``activation_density``: the paper's rule, and its two controls
- ``uniform``: the same bits everywhere
- ``energy_aware``: the least loss for the energy that the tile takes
- ``budget``, ``limit``: the cost at which lowering ends, and how bits are fitted to it
- ``costs``: what each layer costs at each precision
- ``sensitivity``: what each layer's precision costs in loss
"""
