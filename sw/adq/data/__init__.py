"""Images to train on. Names and folders are known here without PyTorch.

A data set is built in (``digits``, ``digits32``), a folder of Parquet files in the layout of the
Hugging Face hub (``adq.data.hub``), a folder of image files (``adq.data.folders``), or what a
function of the user's returns (``adq.data.own``).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from adq.data.catalog import BUILT_IN, DATA_SETS, DIGITS_CLASSES, FOLDER, images_of
from adq.data.config import DataConfig
from adq.data.hub import HUB_DATA_SETS, DataError
from adq.own_code import is_own

if TYPE_CHECKING:
    import torch

    from adq.data.images import Images

__all__ = [
    "BUILT_IN",
    "CACHE",
    "DATA_SETS",
    "DIGITS_CLASSES",
    "FOLDER",
    "DataConfig",
    "DataError",
    "images_of",
    "load",
]

CACHE = Path("build/images")
"""Where decoded images are kept, relative to the present folder."""


def load(
    config: DataConfig, *, seed: int, device: "torch.device | str", cache: Path = CACHE
) -> "Images":
    """Load the data set that a recipe names onto a device.

    The seed decides which images are kept where the recipe asks for a part of them, and the
    split of those that are built in.

    Raises
    ------
    DataError
        Files that are missing, damaged or of another layout, images that cannot be decoded, or
        more images asked for than there are. The message says where, and how to mend it.
    adq.fields.ConfigError
        If there is no function of the name, or it fails.

    """
    from adq.data.images import Images

    if config.name in HUB_DATA_SETS:
        from adq.data import parquet

        data_set = HUB_DATA_SETS[config.name]
        splits, classes = parquet.read_splits(data_set, config.path, cache), data_set.classes
    elif is_own(config.name):
        from adq.data.own import read_own

        splits, classes = read_own(config.name)
    elif config.name == FOLDER:
        from adq.data.folders import read_folder

        splits = read_folder(Path(config.path).expanduser(), cache)
        classes = len(splits.class_names)
    else:
        from adq.data import digits

        splits = digits.read_splits(config.name, config.test_fraction, seed)
        classes = DIGITS_CLASSES
    return Images.from_splits(splits, classes=classes, config=config, seed=seed).to(device)
