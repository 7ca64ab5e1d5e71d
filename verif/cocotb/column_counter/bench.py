"""Bench of the column counter."""

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_slice, to_bits

__all__ = ["ColumnCounterBench"]


class ColumnCounterBench(Bench):
    """Drives products and compares counts."""

    block = "column_counter"

    async def check(self, products: np.ndarray):
        """Drive products of shape (rows, columns), and compare the count of every column."""
        await self.cycle(products=to_bits(products))
        counts = from_slice(self.read("counts"), TILE.count_width, TILE.columns, signed=False)
        expected = [sum(map(int, column)) for column in products.T]
        assert list(counts) == expected, f"{counts} should be {expected}"
