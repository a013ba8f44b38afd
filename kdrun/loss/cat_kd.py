"""Where a network sees each class."""

from typing import Unpack

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import as_grid, grid_shape, meets_in_one_pixel
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MAPS, _HEAD = "maps", "head"


class CATKD(WeightedLoss):
    """Guo et al. 2023 (arXiv:2304.12777), equations 4 and 5.

    mean (n(P(A_s)) - n(P(A_t)))^2, where A (B, K, H, W) are class activation maps, the classifier
    applied at each pixel, P averages them to `resolution`, and n makes each class's map a unit
    vector. It takes networks whose classifier reads as many numbers as the last stage has channels.
    """

    copies_teacher_weights = copies_teacher_classifier = True

    # Buffers, which nn.Module's own annotations do not know.
    teacher_weight: Tensor
    teacher_bias: Tensor

    def __init__(self, resolution: PositiveInt, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.resolution = resolution

    def taps(self) -> TapRequest:
        places = {_MAPS: "stages[-1]", _HEAD: "logits"}
        return TapRequest(places, places)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise TypeError("this loss reads a teacher, and none was given")
        # In a list, as the layer is the student's own: not to be saved with the loss.
        self._head = [_classifier("student", student)]
        other = _classifier("teacher", teacher)
        bias = other.weight.new_zeros(other.out_features) if other.bias is None else other.bias
        for name, value in (("teacher_weight", other.weight), ("teacher_bias", bias)):
            self.register_buffer(name, to_float32(value.detach()).clone(), persistent=False)
        self._require_pixels(student, teacher)

    def _require_pixels(self, student: TapShapes, teacher: TapShapes) -> None:
        if self.resolution == 1:
            raise UserError(
                "cat_kd compares the pixels of maps, and loss.resolution=1 leaves one.",
                "  take loss.resolution=2 or more",
            )
        if meets_in_one_pixel(student.shapes[_MAPS], teacher.shapes[_MAPS]):
            places = " and ".join(f"{each.paths[_MAPS]}" for each in (student, teacher))
            raise UserError(
                f"cat_kd compares the pixels of maps, and there is only one in common of {places}.",
                "  take larger images, or another loss such as fitnet or cosine",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        head = self._head[0]
        maps = teacher.taps[_MAPS].detach()
        with no_autocast(student.logits):
            own = self._seen(student.taps[_MAPS], head.weight, head.bias)
            other = self._seen(maps, self.teacher_weight, self.teacher_bias)
        return {"cat_kd": F.mse_loss(own, other)}

    def _seen(self, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # Averaging and the classifier are both linear: the few averages go through it.
        pooled = F.adaptive_avg_pool2d(as_grid(to_float32(maps)), self.resolution)
        seen = F.linear(
            pooled.flatten(2).mT, to_float32(weight), None if bias is None else to_float32(bias)
        )
        return F.normalize(seen.mT, dim=2)


def _classifier(where: str, network: TapShapes) -> nn.Linear:
    place, channels = network.paths[_HEAD], grid_shape(network.shapes[_MAPS])[1]
    head = network.network.get_submodule(place)
    if isinstance(head, nn.Linear) and head.in_features == channels:
        return head
    if not isinstance(head, nn.Linear):
        raise UserError(
            f"cat_kd applies the classifier at each pixel, and the {where}'s is not linear:"
            f" {place or 'the network itself'} ({type(head).__name__}).",
            f"  choose another {where}, or another loss such as attention",
        )
    raise UserError(
        f"cat_kd applies the classifier at each pixel, and the {where}'s reads {head.in_features}"
        f" numbers where its last stage has {channels} channels.",
        f"  name the maps that are averaged for it: {where}.taps.stages=[PATH]",
    )
