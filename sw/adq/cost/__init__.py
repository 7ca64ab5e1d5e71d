"""What a network costs by arithmetic: multiplications, bits and published energies.

``work``: the work of each layer for an image. ``models``: what published figures make of it.
``metrics``: a training run, in the same terms. ``sources``: where a network's layers are read
from. Nothing here was measured on this project's hardware: that is ``adq.energy``.
"""
