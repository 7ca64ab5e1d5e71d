"""The images that a recipe asks for."""

from dataclasses import dataclass

from adq.data.catalog import BUILT_IN, DATA_SETS
from adq.fields import ConfigError, check_at_least, check_between, check_choice

__all__ = ["DataConfig"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The images."""

    name: str = "digits"
    """Data set, one of ``adq.data.DATA_SETS``."""

    path: str = ""
    """Folder of its Parquet files; where it is empty, see ``adq.data.hub``. Not for digits."""

    train_images: int = 0
    """Training images to take, chosen by the seed, all classes alike; 0 takes all."""

    test_images: int = 0
    """Test images to take, likewise."""

    test_fraction: float = 0.25
    """Share of the digits of every class that is kept for testing, between 0 and 1. The other
    data sets bring their own test images."""

    crop: int = 0
    """Pixels by which a random crop moves a training image at most; what moves in is black."""

    flip: bool = False
    """Whether half of the training images, by chance, are mirrored left to right."""

    def __post_init__(self):
        check_choice("name", self.name, DATA_SETS)
        check_at_least("train_images", self.train_images, 0)
        check_at_least("test_images", self.test_images, 0)
        check_between("test_fraction", self.test_fraction, 0, 1)
        check_between("crop", self.crop, 0, 64, inclusive=True)
        built_in = self.name in BUILT_IN
        if built_in and self.path:
            raise ConfigError(
                f"path is for data sets in files: {self.name} is built in, leave it out"
            )
        if not built_in and self.test_fraction != DataConfig.test_fraction:
            raise ConfigError(
                f"test_fraction is for digits: {self.name} brings its own test images, leave it out"
            )
