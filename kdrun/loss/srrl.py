"""Representations that the teacher's own classifier can read."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import flat, grid_shape
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.tap_pairs import Pair, told
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_TAP, _HEAD = "tap", "head"


class SRRL(WeightedLoss):
    """Yang et al. 2021 (ICLR), softmax regression representation learning, with squared errors.

    mean (r(f_s) - f_t)^2 + mean (W_t r(f_s) + b_t - z_t)^2, where f are embeddings, z_t the
    teacher's logits, W_t and b_t its classifying layer, which stays as it is, and r a linear map
    with a norm and, if `relu`, a ReLU.
    """

    min_batch = 2  # the norm of r has no statistics of one sample
    copies_teacher_weights = copies_teacher_classifier = True

    # Buffers, which nn.Module's own annotations do not know.
    head_weight: Tensor
    head_bias: Tensor

    def __init__(self, relu: bool, place: str, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.relu, self.place = relu, place

    def taps(self) -> TapRequest:
        return TapRequest({_TAP: self.place}, {_TAP: "embedding", _HEAD: "logits"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise TypeError("this loss reads a teacher, and none was given")
        head = _classifier(teacher)
        own = grid_shape(student.shapes[_TAP])[1]
        norm: list[nn.Module] = [nn.BatchNorm1d(head.in_features)]
        end: list[nn.Module] = [nn.ReLU()] if self.relu else []
        self.adapter = nn.Sequential(nn.Linear(own, head.in_features, bias=False), *norm, *end)
        # Copies that are neither trained nor saved: the teacher is at hand whenever this is bound.
        bias = head.weight.new_zeros(head.out_features) if head.bias is None else head.bias
        for name, value in (("head_weight", head.weight), ("head_bias", bias)):
            self.register_buffer(name, to_float32(value.detach()).clone(), persistent=False)
        where = f"{student.paths[_TAP]} from {teacher.paths[_TAP]}, read by {teacher.paths[_HEAD]}"
        shapes = student.shapes[_TAP], teacher.shapes[_TAP]
        self.joined = [Pair(_TAP, _TAP, *shapes, where)]

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            own, other = flat(student.taps[_TAP]), flat(teacher.taps[_TAP].detach())
            if len(own) < self.min_batch:
                return {"srrl_features": 0 * own.sum(), "srrl_logits": 0 * own.sum()}
            found = self.adapter(own)
            logits = F.linear(found, self.head_weight, self.head_bias)
            return {
                "srrl_features": F.mse_loss(found, other),
                "srrl_logits": F.mse_loss(logits, to_float32(teacher.logits.detach())),
            }


def _classifier(teacher: TapShapes) -> nn.Linear:
    """The linear layer that makes the teacher's logits of its embedding."""
    place, width = teacher.paths[_HEAD], grid_shape(teacher.shapes[_TAP])[1]
    head = teacher.network.get_submodule(place)
    if not isinstance(head, nn.Linear):
        raise UserError(
            "loss 'srrl' reuses the teacher's linear classifier, and this teacher has none.",
            f"  its logits come from {place or 'the network itself'} ({type(head).__name__}): "
            "choose another teacher, or another loss such as pkt",
        )
    if head.in_features != width:
        raise UserError(
            f"loss 'srrl': the teacher's classifier {place!r} reads {head.in_features} numbers, "
            f"its embedding has {width}.",
            f"  name what enters it: teacher.taps.embedding={place}:in",
        )
    return head
