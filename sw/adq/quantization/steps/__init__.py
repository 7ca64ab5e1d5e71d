"""Steps of a network while it trains, each of which reads tensors and gives one.

- ``step``: what all have in common, and steps that leave the format of their tensor as it is
- ``stages``: steps that quantize, each of which becomes a node of the integer network
- ``layers``: convolutions and linear layers, with the batch norm behind them
- ``batch_norm``: what a batch norm is folded into
- ``remembering``: what is kept for the gradient
"""
