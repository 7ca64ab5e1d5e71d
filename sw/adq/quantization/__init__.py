"""Quantization in training: a user's network on the grid of the integers.

- ``quantizers``: from real numbers to integers, with gradients
- ``multipliers``: what multiplies integers, as integers have it
- ``remembering``: what is kept for the gradient
- ``reading``: what a PyTorch module computes, as a list of operations
- ``stages``, ``layers``: operations that become a node of the integer network, and how they train
- ``assembly``: which operations make a stage
- ``network``: the stages in order, and the precision of every tensor between them
- ``prepared``: ``adq.prepare`` and what it returns
- ``pruning``: channels that leave the network and the optimizer
- ``integers``: from the trained network to the integers of ``golden``
"""
