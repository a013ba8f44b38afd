"""Relations in a batch: distances of pairs and angles of triples of samples."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kdrun.loss.relation_loss import Relation
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.weighted_loss import TermWeights

_AT_ONCE = 2**24  # numbers: differences (b, B, C) and angles (b, B, B) of b of the anchors
_NEAR = 1e-12  # samples nearer than this have no direction from each other


class RKD(Relation):
    """Park et al. 2019 (arXiv:1904.05068), on embeddings e_1 ... e_B.

    distance * mean_ij h(|e_i - e_j| / mu) + angle * mean_ijk h(cos angle of e_i e_j e_k), where h
    is the Huber loss between student and teacher and mu the mean of the batch's distances that
    are above 0. As in the published code, the means go over all B^2 and B^3 choices.

    Angles take B^3 numbers and differences B^2 C. Where that is above 64 MiB, the anchors e_j are
    taken in groups which are computed again in the backward pass, one at a time.
    """

    def __init__(
        self,
        distance: NonNegativeFloat,
        angle: NonNegativeFloat,
        pairs: Pairs,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__("rkd", pairs, **shares)
        self.distance, self.angle = distance, angle

    def between(self, pair: Pair, student: Tensor, teacher: Tensor) -> Tensor:
        batch, width = len(student), max(len(student), student.shape[1], teacher.shape[1])
        rows = max(1, min(batch, _AT_ONCE // (batch * width)))
        apart, angles = [], []
        for first in range(0, batch, rows):
            anchors = slice(first, first + rows)
            if rows < batch:
                found = checkpoint(_group, student, teacher, anchors, use_reentrant=False)
            else:
                found = _group(student, teacher, anchors)
            apart.append(found[:2])
            angles.append(found[2])
        own, other = (_relative(torch.cat(part)) for part in zip(*apart, strict=True))
        distances = F.smooth_l1_loss(own, other)
        return self.distance * distances + self.angle * torch.stack(angles).sum() / batch**3


def _group(student: Tensor, teacher: Tensor, anchors: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Both networks' distances (b, B) from b anchors, and the sum of Huber losses of angles."""
    own, own_angles = _seen_from(student[anchors], student)
    other, other_angles = _seen_from(teacher[anchors], teacher)
    return own, other, F.smooth_l1_loss(own_angles, other_angles, reduction="sum")


def _seen_from(anchors: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (b, B) from anchors (b, C), and cosines (b, B, B) of the angles at them."""
    differences = embeddings[None] - anchors[:, None]
    distances = torch.linalg.vector_norm(differences, dim=2)
    far = distances > _NEAR
    units = differences * torch.where(far, 1 / distances.where(far, 1), 0)[:, :, None]
    return distances, units @ units.transpose(1, 2)


def _relative(distances: Tensor) -> Tensor:
    """Distances over their mean, in which those of a sample to itself or its like don't count."""
    mean = distances.sum() / (distances > 0).sum().clamp(min=1)
    return distances / mean.where(mean > 0, 1)
