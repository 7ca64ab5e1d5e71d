"""Comparison of policies: the same recipe, several seeds, at equal cost.

- ``cells``: the runs of a comparison
- ``running``: trains them, one after another or in several processes side by side
- ``twins``: finds runs that come to the same
- ``rows``: result of a run, and differences between two policies
- ``outcome``: what they came to, with means, deviations and paired tests
- ``figure``: accuracy against energy
"""
