"""Knowledge review: each layer of the student is fused with the deeper layers."""

from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress, TapRequest
from kdrun.loss.adapters import maps_of
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms, to_float32
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights

_MAX_WIDTH = 512  # channels of the fused maps
_SIDES = (4, 2, 1)  # heights and widths of the pooled maps, which are compared beside the full ones


class ReviewKD(FeatureLoss):
    """Knowledge review: stages fused from deep to shallow.

    Formula:
        sum_i hcl(conv3x3(m_i), F_t,i), m_i = a . conv1x1(F_s,i) + b . m_i+1, from the deepest layer
          to the shallowest; the embeddings are the deepest layer
        a, b: learned maps with values in 0 to 1; m_i+1 is enlarged to the size of F_s,i
        hcl: mean squared differences of the full maps and of maps pooled to 4x4, 2x2, 1x1 if that
          is smaller, with the weights 1, 1/2, 1/4, 1/8 divided by their sum

    Paper:
        Chen, Liu, Zhao, Jia, Distilling Knowledge via Knowledge Review, CVPR 2021,
        arXiv:2104.09044, as in its published code

    Needs:
        - feature maps of both, several layers each, and embeddings (any networks)
        - fusion modules of two convolutions for each layer
        - a batch of 2 or more

    Notes:
        - The published code compares maps before the last ReLU of a stage; here the maps after it
          are compared, unless pairs name other layers.
        - In a text each token is a map of one pixel, the convolutions have 1x1 kernels, and the
          deepest layer is the last of the stages.
        - The weight rises over the first 20 epochs; in a run of fewer epochs, over a twelfth of
          them, the share that 20 are of the 240 epochs of the published runs.
        - On a CPU most of the time goes into the 3x3 convolutions to the teacher's maps: about 50
          billion multiplications in a step of 64 images, from resnet8x4 to resnet32x4.
    """

    min_batch = 2  # batch norms can't compute statistics of one sample with one pixel

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.fusions = nn.ModuleList()

    def taps(self) -> TapRequest:
        if self.pairs != "auto":
            return super().taps()
        roles = {"tap": "stages[*]", "last": "embedding"}
        return TapRequest(roles, roles)

    def build(self) -> None:
        layers = [pair for pair in self.tap_pairs if len(pair.student_shape) == 3]
        if self.is_text and layers:  # the embedding of a text has no tokens to be fused with
            self.tap_pairs = layers
        channels = self.channels()
        width = min(_MAX_WIDTH, channels[-1].student)
        self.fusions = nn.ModuleList(
            Fusion(*widths, width, self.kernel, deepest=number == len(channels) - 1)
            for number, widths in enumerate(channels)
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if len(student.logits) < self.min_batch:
            return {"review_kd": 0 * student.logits.sum()}
        deeper: Tensor | None = None
        distances: list[Tensor] = []
        from_deepest = zip(reversed(self.tap_pairs), reversed(list(self.fusions)), strict=True)
        for pair, fusion in from_deepest:
            target = maps_of(teacher, pair.teacher).detach()
            source = maps_of(student, pair.student)
            compared, deeper = fusion(source, deeper, target.shape[2:])
            with no_autocast(target):
                distances.append(hierarchical_mse(to_float32(compared), target))
        return {"review_kd": sum_terms(distances)}


class FusedMaps(NamedTuple):
    """What a fusion returns.

    Attributes:
        compared: maps (B, C_t, H, W), to be compared with the teacher's.
        mixed: m_i (B, width, H, W), for the next shallower layer.
    """

    compared: Tensor
    mixed: Tensor


class Fusion(nn.Module):
    """Fuses the maps of one layer of the student with the fused maps of the deeper layers."""

    def __init__(self, student: int, teacher: int, width: int, kernel: int, deepest: bool) -> None:
        super().__init__()
        self.enter = _convolution(student, width, kernel=1)
        self.leave = _convolution(width, teacher, kernel)
        self.shares = None if deepest else nn.Conv2d(2 * width, 2, kernel_size=1)

    def forward(self, maps: Tensor, deeper: Tensor | None, size: torch.Size) -> FusedMaps:
        mixed = self.enter(maps)
        if self.shares is not None and deeper is not None:
            deeper = F.interpolate(deeper, mixed.shape[2:], mode="nearest").to(mixed.dtype)
            a, b = self.shares(torch.cat([mixed, deeper], dim=1)).sigmoid().split(1, dim=1)
            mixed = a * mixed + b * deeper
        if mixed.shape[2:] != size:
            mixed = F.interpolate(mixed, size, mode="nearest")
        return FusedMaps(self.leave(mixed), mixed)


def hierarchical_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Return hcl of maps (B, C, H, W): the weighted mean squared differences."""
    value, weight, total = F.mse_loss(student, teacher), 1.0, 1.0
    for side in _SIDES:
        if side >= min(student.shape[2:]):
            continue
        weight /= 2
        total += weight
        pooled = F.adaptive_avg_pool2d(student, side)
        value = value + weight * F.mse_loss(pooled, F.adaptive_avg_pool2d(teacher, side))
    return value / total


def _convolution(source: int, target: int, kernel: int) -> nn.Module:
    convolution = nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(target))
