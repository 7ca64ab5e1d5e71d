"""Images of a recipe: the ``[data]`` table."""

from dataclasses import dataclass

from adq.data.catalog import BUILT_IN, DATA_SETS, FOLDER
from adq.fields import ConfigError, check_at_least, check_between
from adq.own_code import check_choice_or_own, is_own

__all__ = ["DataConfig"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Data set and augmentation, the ``[data]`` table."""

    name: str = "digits"
    """Data set, one of ``adq.data.DATA_SETS``, or a function of your own, ``module:function``: it
    returns training images, their labels, test images and their labels (``adq.data.own``)."""

    path: str = ""
    """Folder of the Parquet files; if empty, the folder that ``adq data`` uses. For ``folder``, the
    folder that holds ``train/CLASS`` and ``test/CLASS``. Not for built-in data sets."""

    train_images: int = 0
    """Number of training images, chosen by the seed with balanced classes; 0 uses all."""

    test_images: int = 0
    """Number of test images, chosen by the seed with balanced classes; 0 uses all."""

    test_fraction: float = 0.25
    """Share of the digits of each class used for testing, between 0 and 1. Other data sets have
    their own test images."""

    crop: int = 0
    """Maximum shift of a training image by the random crop, in pixels, with black padding."""

    flip: bool = False
    """Mirror each training image left to right with probability 1/2."""

    def __post_init__(self) -> None:
        check_choice_or_own("name", self.name, DATA_SETS)
        check_at_least("train_images", self.train_images, 0)
        check_at_least("test_images", self.test_images, 0)
        check_between("test_fraction", self.test_fraction, 0, 1)
        check_between("crop", self.crop, 0, 64, inclusive=True)
        built_in = self.name in BUILT_IN
        if is_own(self.name) and self.path:
            raise ConfigError(f"path is for data sets in files: {self.name} finds its own images")
        if built_in and self.path:
            raise ConfigError(
                f"path is for data sets in files: {self.name} is built in, leave it out"
            )
        if self.name == FOLDER and not self.path:
            raise ConfigError(
                "path is missing: give the folder that holds the images in train/CLASS and "
                "test/CLASS"
            )
        if not built_in and self.test_fraction != DataConfig.test_fraction:
            raise ConfigError(
                f"test_fraction is for digits: {self.name} brings its own test images, leave it out"
            )
