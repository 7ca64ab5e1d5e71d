"""Training of recipes.

- ``config``: recipes, read from TOML
- ``session``: trains the networks of a recipe one after another and writes the run's folder
- ``network_training``: trains one network, with its checkpoints
- ``controller``: lowers bits and prunes channels by activation density
- ``observer``, ``progress``: progress on a terminal and in TensorBoard
- ``processes``: devices, number formats and distributed processes
"""
