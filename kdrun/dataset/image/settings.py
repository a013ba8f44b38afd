"""The keys that every image dataset's config node has beside the common ones."""

from typing import Literal, Self

from pydantic import BaseModel, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from kdrun.core.ranges import ImageSize, UnitAboveZero
from kdrun.dataset.settings import STRICT, Common


class Augment(BaseModel):
    """How training images are augmented, differently in every view; labels don't change.

    Attributes:
        crop: zeros added on each side, in pixels, before a crop of the image's size; 0 is none.
        flip: mirror each image left to right with probability 1/2.
        resized_crop: smallest share of an image's area that a crop of random size and proportions
            keeps; the crop is resized to the image's size. For image files.
    """

    model_config = STRICT

    crop: NonNegativeInt
    flip: bool
    resized_crop: UnitAboveZero | None

    @model_validator(mode="after")
    def _check_crops(self) -> Self:
        if self.crop and self.resized_crop is not None:
            raise PydanticCustomError("crops", "should have crop or resized_crop, not both")
        return self


class Original(BaseModel):
    """The contents of a dataset's files, before any setting changes them; None if files differ.

    Attributes:
        classes: number of classes. A folder of image files may hold fewer, a selection.
        channels: 1 for grey, 3 for color.
        image_size: height and width in pixels.
    """

    model_config = STRICT

    classes: PositiveInt
    channels: Literal[1, 3] | None
    image_size: ImageSize | None


class ImageSettings(Common):
    """The keys that every image dataset has; conf/dataset/_base.yaml has values and meaning."""

    original: Original | None
    image_size: ImageSize | None
    channels: Literal[1, 3] | None
    mean: list[float] | None
    std: list[PositiveFloat] | None
    augment: Augment

    @model_validator(mode="after")
    def _check_normalization(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise PydanticCustomError("normalization", "should have mean and std, or neither")
        return self
