"""Class attention transfer."""

from typing import Unpack

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import map_shape, meets_in_one_pixel, to_maps
from kdrun.loss.base import require_teacher
from kdrun.loss.functional import find_linear, no_autocast, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MAPS, _CLASSIFIER = "maps", "head"


class CATKD(WeightedLoss):
    """Class attention: where in an image each class is seen.

    Formula:
        mean (n(P(A_s)) - n(P(A_t)))^2
        A (B, K, H, W): class activation maps, the classifier's weights, without its bias, applied
          at each pixel of the last maps
        P: averages them to resolution x resolution
        n: makes each class's map a unit vector (normalize=true); else nothing

    Paper:
        Guo et al., Class Attention Transfer Based Knowledge Distillation, CVPR 2023,
        arXiv:2304.12777, equations 4 and 5

    Needs:
        - last feature maps of both, of at least `resolution` pixels a side
        - in both, a linear classifier that reads the averaged last maps

    Notes:
        - The authors' CIFAR-100 runs of one family have normalize=false, resolution 2 and weight
          0.7 (resnet56 -> resnet20), 1.5 (wrn_40_2 -> wrn_40_1), 1.8 (resnet110 -> resnet32), 4.5
          (vgg13 -> vgg8), 12 (wrn_40_2 -> wrn_16_2), 15 (resnet32x4 -> resnet8x4).
        - Those of two families have normalize=true and weight 15 (vgg13 -> mobilenet_v2_x0_5) or 40
          (resnet50 -> mobilenet_v2_x0_5); with resolution 4, 80 (wrn_40_2 -> shufflenet_v1) or 600
          (resnet32x4 -> shufflenet_v1 and shufflenet_v2).
        - The authors' students have no bias in the classifier at all.
        - The last maps are those whose average the classifier reads, after the last norm and
          activation of a wide ResNet.
        - The gradient reaches the student's classifier too, as the maps depend on its weights.
    """

    copies_teacher_weights = copies_teacher_classifier = True
    revision = 2  # 2: maps without the bias, and after the last norm

    teacher_weight: Tensor  # registered as a buffer by `bind`; annotated for the type checker

    def __init__(
        self, resolution: PositiveInt, normalize: bool, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(**weights)
        self.resolution, self.normalize = resolution, normalize
        # In a list, so that the loss does not save the layer, which belongs to the student.
        self._student_classifier: list[nn.Linear] = []

    def taps(self) -> TapRequest:
        roles = {_MAPS: "embedding:maps", _CLASSIFIER: "logits"}
        return TapRequest(roles, roles)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_teacher(teacher)
        self._student_classifier = [_classifier("student", student)]
        weight = to_float32(_classifier("teacher", teacher).weight.detach()).clone()
        self.register_buffer("teacher_weight", weight, persistent=False)
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
            student_attention = self._attention(student.taps[_MAPS], layer.weight)
            teacher_attention = self._attention(teacher_maps, self.teacher_weight)
        return {"cat_kd": F.mse_loss(student_attention, teacher_attention)}

    def _attention(self, maps: Tensor, weight: Tensor) -> Tensor:
        """Return n(P(A)) of maps (B, C, H, W): (B, K, resolution^2)."""
        # Averaging and the classifier are both linear, so the cheaper order is to average first.
        pooled = F.adaptive_avg_pool2d(to_maps(to_float32(maps)), self.resolution)
        attention = F.linear(pooled.flatten(2).mT, to_float32(weight)).mT
        return F.normalize(attention, dim=2) if self.normalize else attention


def _classifier(role: str, network: TapShapes) -> nn.Linear:
    """Return the linear layer that computes a network's logits from its averaged last maps.

    Raises:
        UserError: the network has no such layer.
    """
    path, channels = network.paths[_CLASSIFIER], map_shape(network.shapes[_MAPS])[1]
    layer = find_linear(network.network, path)
    if layer is None:
        kind = type(network.network.get_submodule(path)).__name__
        raise UserError(
            f"cat_kd applies the classifier at each pixel, and the {role}'s is not linear:"
            f" {path or 'the network itself'} ({kind}).",
            f"  choose another {role}, or another loss such as attention",
        )
    if layer.in_features != channels:
        raise UserError(
            f"cat_kd applies the classifier at each pixel, and the {role}'s reads"
            f" {layer.in_features} numbers where its last maps have {channels} channels.",
            f"  choose another {role}, or another loss such as attention",
        )
    return layer
