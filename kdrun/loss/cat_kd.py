"""Class attention transfer."""

from typing import Unpack

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import map_shape, meets_in_one_pixel, to_maps
from kdrun.loss.base import require_teacher
from kdrun.loss.functional import copy_classifier, no_autocast, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MAPS, _CLASSIFIER = "maps", "head"


class CATKD(WeightedLoss):
    """Class attention: where in an image each class is seen.

    Formula:
        mean (n(P(A_s)) - n(P(A_t)))^2
        A (B, K, H, W): class activation maps, the classifier applied at each pixel of the last maps
        P: averages them to resolution x resolution; n: makes each class's map a unit vector

    Paper:
        Guo et al., Class Attention Transfer Based Knowledge Distillation, CVPR 2023,
        arXiv:2304.12777, equations 4 and 5

    Needs:
        - last feature maps of both, of at least `resolution` pixels a side
        - in both, a linear classifier that reads the averaged last maps

    Notes:
        - For CIFAR-100 its weight is 50 to 400, depending on the pair of networks (recalled from
          the paper, not checked); sweep it.
        - The gradient reaches the student's classifier too, as the maps depend on its weights.
    """

    copies_teacher_weights = copies_teacher_classifier = True

    # Registered as buffers by `bind`; annotated here for the type checker.
    teacher_weight: Tensor
    teacher_bias: Tensor

    def __init__(self, resolution: PositiveInt, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.resolution = resolution
        # In a list, so that the loss does not save the layer, which belongs to the student.
        self._student_classifier: list[nn.Linear] = []

    def taps(self) -> TapRequest:
        roles = {_MAPS: "stages[-1]", _CLASSIFIER: "logits"}
        return TapRequest(roles, roles)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_teacher(teacher)
        self._student_classifier = [_classifier("student", student)]
        copy_classifier(_classifier("teacher", teacher), self, "teacher")
        self._require_pixels(student, teacher)

    def _require_pixels(self, student: TapShapes, teacher: TapShapes) -> None:
        if self.resolution == 1:
            raise UserError(
                "cat_kd compares the pixels of maps, and loss.resolution=1 leaves one.",
                "  take loss.resolution=2 or more",
            )
        if meets_in_one_pixel(student.shapes[_MAPS], teacher.shapes[_MAPS]):
            layers = " and ".join(network.paths[_MAPS] for network in (student, teacher))
            raise UserError(
                f"cat_kd compares the pixels of maps, and there is only one in common of {layers}.",
                "  take larger images, or another loss such as fitnet or cosine",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        layer, teacher_maps = self._student_classifier[0], teacher.taps[_MAPS].detach()
        with no_autocast(student.logits):
            student_attention = self._attention(student.taps[_MAPS], layer.weight, layer.bias)
            teacher_attention = self._attention(
                teacher_maps, self.teacher_weight, self.teacher_bias
            )
        return {"cat_kd": F.mse_loss(student_attention, teacher_attention)}

    def _attention(self, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return n(P(A)) of maps (B, C, H, W): (B, K, resolution^2)."""
        # Averaging and the classifier are both linear, so the cheaper order is to average first.
        pooled = F.adaptive_avg_pool2d(to_maps(to_float32(maps)), self.resolution)
        bias = None if bias is None else to_float32(bias)
        attention = F.linear(pooled.flatten(2).mT, to_float32(weight), bias)
        return F.normalize(attention.mT, dim=2)


def _classifier(role: str, network: TapShapes) -> nn.Linear:
    """Return the linear layer that computes a network's logits from its averaged last maps.

    Raises:
        UserError: the network has no such layer.
    """
    path, channels = network.paths[_CLASSIFIER], map_shape(network.shapes[_MAPS])[1]
    layer = network.network.get_submodule(path)
    if isinstance(layer, nn.Linear) and layer.in_features == channels:
        return layer
    if not isinstance(layer, nn.Linear):
        raise UserError(
            f"cat_kd applies the classifier at each pixel, and the {role}'s is not linear:"
            f" {path or 'the network itself'} ({type(layer).__name__}).",
            f"  choose another {role}, or another loss such as attention",
        )
    raise UserError(
        f"cat_kd applies the classifier at each pixel, and the {role}'s reads {layer.in_features}"
        f" numbers where its last stage has {channels} channels.",
        f"  name the maps that are averaged for it: {role}.taps.stages=[PATH]",
    )
