"""Energy from switching; called as a function, an estimate for a network.

``adq.energy(network, example)`` is :func:`adq.estimate.estimate`. The package is called
itself because it has the name that the function is to have.
"""

import sys
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    def __call__(self, network: Any, example: Any, **options: Any) -> Any:
        from adq.estimate import estimate

        return estimate(network, example, **options)


sys.modules[__name__].__class__ = _Package
