"""From a PyTorch module to the operations that the integer network knows.

- ``tracing``: the module's graph, without side effects
- ``operations``: the kinds of operations
- ``movement``: operators that only move elements
- ``network``: a graph's operations, in order
- ``tensors``: tensors that have been read, and refusals that name their module
- ``layers``, ``joins``, ``windows``: operators of one tensor with weights, of several tensors, and
  of windows
"""
