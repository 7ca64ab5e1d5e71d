"""Training: from a recipe to a run's folder.

- ``session``: all networks of a recipe, one after the other, and the folder's files
- ``network``: one network in training, and all that decides its future
- ``history``: what an epoch left behind, and what a run is summed up to
- ``processes``: devices, number formats, one process or several
"""
