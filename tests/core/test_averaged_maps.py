"""Where the maps are found that a tap is the average of."""

import pytest
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.taps import resolve_taps
from kdrun.core.types import DataInfo

INFO = DataInfo(("a", "b", "c"), ImageInputs(3, (32, 32)), 10)


class Pooled(nn.Module):
    """A network that reads an average or, with `flat`, all pixels, through functions."""

    def __init__(self, flat: bool) -> None:
        super().__init__()
        self.flat, self.body = flat, nn.Conv2d(3, 4, 8, stride=8)
        self.head = nn.Linear(64 if flat else 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.body(images)
        return self.head(maps.flatten(1) if self.flat else maps.mean((2, 3)))


def test_an_average_without_a_module_is_found():
    paths = resolve_taps("student", {"maps": "head:in:maps"}, {}, Pooled(flat=False), INFO)
    assert paths == {"maps": "body"}


def test_a_classifier_that_reads_all_pixels_is_refused():
    with pytest.raises(UserError) as error:
        resolve_taps("student", {"maps": "head:in:maps"}, {}, Pooled(flat=True), INFO)
    assert error.value.lines[0] == (
        "what the student has at 'head:in' is no average of feature maps over pixels."
    )
