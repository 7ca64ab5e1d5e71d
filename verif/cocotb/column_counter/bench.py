"""Bench of the column counter."""

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_slice, to_bits

__all__ = ["ColumnCounterBench"]


class ColumnCounterBench(Bench):
    """Shows products and reads counts."""

    block = "column_counter"

    async def check(self, products: np.ndarray):
        """Bits of shape (rows, columns): every column must be counted."""
        await self.cycle(products=to_bits(products))
        counts = from_slice(self.read("counts"), TILE.count_width, TILE.columns, signed=False)
        expected = [sum(map(int, column)) for column in products.T]
        assert list(counts) == expected, f"{counts} should be {expected}"
