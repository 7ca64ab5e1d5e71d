"""Comparison of policies: the same recipe, several seeds, at equal cost.

- ``cells``: the runs of a comparison
- ``running``: trains them, one after another or in several processes side by side
- ``outcome``: what they came to, with means, deviations and paired tests
- ``figure``: accuracy against energy
"""
