"""The keys that every text dataset's config node has beside the common ones."""

from typing import Any, Literal

from pydantic import BaseModel, NonNegativeInt, PositiveInt

from kdrun.core.ranges import AtLeastTwo, UnitInterval
from kdrun.dataset.settings import STRICT, Common, Folder
from kdrun.dataset.text.text_files import TextEncoding

Cut = Literal["head", "tail", "both"]


class TextAugment(BaseModel):
    """How more texts are made of the training texts; see `kdrun.dataset.text.augment`.

    Attributes:
        copies: versions of each training text.
        mask: probability of a word to be masked.
        swap: probability of a word to be swapped for another one.
        ngram: probability of a version to be cut to a few words in a row.
        longest_ngram: the most words of those.
    """

    model_config = STRICT

    copies: NonNegativeInt
    mask: UnitInterval
    swap: UnitInterval
    ngram: UnitInterval
    longest_ngram: PositiveInt


class TextSettings(Common):
    """The keys that every text dataset has; conf/dataset/_text.yaml has values and meaning."""

    within: Folder
    encoding: TextEncoding
    tokenizer: dict[str, Any]
    longest: AtLeastTwo
    cut: Cut
    augment: TextAugment
