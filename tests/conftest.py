"""Order of the test files, and thresholds of the garbage collector."""

import gc

# Each collection looks through the millions of objects that PyTorch and Amaranth keep.
gc.set_threshold(100_000, 50, 100)

LONGEST = (
    "platform/test_engine.py",
    "training/test_training.py",
    "application/test_wheel.py",
    "signoff/test_formal.py",
    "platform/test_predict.py",
    "platform/test_host.py",
    "switching/test_windows.py",
    "quantization/test_export.py",
    "signoff/test_replay.py",
    "gate_level/test_gate_level.py",
)
"""Files that take a minute or more. They begin first, so that none of them is left to one processor
when the others have nothing to do."""


def pytest_collection_modifyitems(items):
    """Let the tests of the longest files begin first."""
    first = {file: place for place, file in enumerate(LONGEST)}

    def place(item):
        folder, file = item.path.parts[-2:]
        return first.get(f"{folder}/{file}", len(first))

    items.sort(key=place)
