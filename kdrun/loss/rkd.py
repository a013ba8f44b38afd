"""Relational knowledge distillation."""

from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kdrun.loss.relation_loss import RelationLoss
from kdrun.loss.tap_pairs import TapPair, TapPairs
from kdrun.loss.weighted_loss import TermWeights

_MAX_NUMBERS = 2**24  # in the differences (b, B, C) or angles (b, B, B) of a group of b anchors
_MIN_DISTANCE = 1e-12  # below it, the direction from a sample to another is undefined


class _Group(NamedTuple):
    """Relations of b anchors to the B samples of a batch.

    Attributes:
        student: the student's distances (b, B).
        teacher: the teacher's distances (b, B).
        angle_loss: the sum of h over the cosines of both networks.
    """

    student: Tensor
    teacher: Tensor
    angle_loss: Tensor


class _Relations(NamedTuple):
    """Distances (b, B) from anchors, and cosines (b, B, B) of the angles at them."""

    distances: Tensor
    cosines: Tensor


class RKD(RelationLoss):
    """Relational distillation: distances and angles in a batch.

    Formula:
        a mean_ij h(d_s,ij / mean d_s ; d_t,ij / mean d_t) + b mean_ijk h(cos_s,ijk ; cos_t,ijk)
        d_ij: distance of the embeddings of samples i and j; the mean goes over those above 0
        cos_ijk: cosine of the angle at sample j between samples i and k
        h: Huber loss (linear from 1 on); a: distance, b: angle

    Paper:
        Park, Kim, Lu, Cho, Relational Knowledge Distillation, CVPR 2019, arXiv:1904.05068

    Needs:
        - embeddings of both (any widths)
        - a batch of 2 or more
        - memory for B^3 angles, or time to compute them twice

    Notes:
        - Means go over all B^2 pairs and B^3 triples, also those of a sample with itself, as in the
          published code; the paper sums over different samples.
        - Angles take B^3 numbers and differences B^2 C. If that is above 64 MiB, the samples j are
          divided into groups, which are computed again in the backward pass, one at a time.
        - If pairs name maps, these are averaged over their pixels.
    """

    def __init__(
        self,
        distance: NonNegativeFloat,
        angle: NonNegativeFloat,
        pairs: TapPairs,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__("rkd", pairs, **weights)
        self.distance, self.angle = distance, angle

    def compare(self, pair: TapPair, student: Tensor, teacher: Tensor) -> Tensor:
        batch, width = len(student), max(len(student), student.shape[1], teacher.shape[1])
        rows = max(1, min(batch, _MAX_NUMBERS // (batch * width)))
        groups: list[_Group] = []
        for first in range(0, batch, rows):
            anchors = slice(first, first + rows)
            if rows < batch:
                group = checkpoint(_group, student, teacher, anchors, use_reentrant=False)
            else:
                group = _group(student, teacher, anchors)
            groups.append(group)
        distances = F.smooth_l1_loss(
            _relative(torch.cat([group.student for group in groups])),
            _relative(torch.cat([group.teacher for group in groups])),
        )
        angles = torch.stack([group.angle_loss for group in groups]).sum() / batch**3
        return self.distance * distances + self.angle * angles


def _group(student: Tensor, teacher: Tensor, anchors: slice) -> _Group:
    """Return the relations of some anchors to the batch, from embeddings (B, C) of both networks.

    Args:
        student: the student's embeddings.
        teacher: the teacher's embeddings.
        anchors: which samples are the anchors.
    """
    in_student = _relations(student[anchors], student)
    in_teacher = _relations(teacher[anchors], teacher)
    angle_loss = F.smooth_l1_loss(in_student.cosines, in_teacher.cosines, reduction="sum")
    return _Group(in_student.distances, in_teacher.distances, angle_loss)


def _relations(anchors: Tensor, embeddings: Tensor) -> _Relations:
    """Return the relations of anchors (b, C) to embeddings (B, C)."""
    differences = embeddings[None] - anchors[:, None]
    distances = torch.linalg.vector_norm(differences, dim=2)
    is_apart = distances > _MIN_DISTANCE
    units = differences * torch.where(is_apart, 1 / distances.where(is_apart, 1), 0)[:, :, None]
    return _Relations(distances, units @ units.transpose(1, 2))


def _relative(distances: Tensor) -> Tensor:
    """Return distances divided by the mean of the distances above 0."""
    mean = distances.sum() / (distances > 0).sum().clamp(min=1)
    return distances / mean.where(mean > 0, 1)
