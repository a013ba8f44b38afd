"""Knowledge distillation by singular value decomposition."""

from itertools import pairwise
from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import channel_adapter, map_shape, to_maps
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms, to_float32
from kdrun.loss.singular_vectors import attach_gradient, top_singular
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights

_EXTRA = 3  # more vectors of the student than of the teacher, to choose the k best matches from
_WIDTH = 8.0  # of the radial basis function


class _Vectors(NamedTuple):
    """Weighted singular vectors (B, C, k) of a layer's maps."""

    student: Tensor
    teacher: Tensor


class KDSVD(FeatureLoss):
    """Singular vectors: their change from layer to layer.

    Formula:
        kdsvd = (1 / B) sum_ijn (R_s,ijn - R_t,ijn)^2, R_ijn = exp(-(x_in - y_jn)^2 / 8)
        summed over pairs of successive layers and over the batch of B samples
        x (C1, k), y (C2, k): the first k right singular vectors of the maps (H W, C) of a layer and
          of the next layer, each multiplied by the teacher's singular value; the vector of these
          values is scaled to length 1

    Paper:
        Lee, Kim and Song, Self-supervised Knowledge Distillation Using Singular Value
        Decomposition, ECCV 2018, arXiv:1807.06819, as in the code of the CIFAR-100 tables

    Needs:
        - feature maps of both at 2 or more layers (any networks)

    Notes:
        - Signs and order of singular vectors are arbitrary, so each of the teacher's vectors is
          compared with the student's vector that has the cosine of largest magnitude, whose sign is
          flipped if the cosine is below 0.
        - The vectors are computed by subspace iteration on the smaller Gram matrix, with their
          exact gradient; if the channels differ, an adapter comes first.
        - On a CPU most of the time goes into QR decompositions: for each sample and layer one for
          the gradient and two for the vectors.
    """

    def __init__(
        self, pairs: TapPairs, vectors: PositiveInt, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **weights)
        self.vectors = vectors
        self.adapters = nn.ModuleList()

    def build(self) -> None:
        if self.is_text:
            raise UserError(
                "kdsvd compares singular vectors, and those of a text of few tokens are arbitrary.",
                "  take loss=ickd, which compares products of channels",
            )
        if len(self.tap_pairs) < 2:
            raise UserError(
                "kdsvd needs 2 layers in a row, and there is only"
                f" {self.tap_pairs[0].description}.",
                "  name more: loss.pairs=[[PATH,PATH],[PATH,PATH]]; kdrun layers model=NAME",
            )
        self._require_rank()
        self.adapters = nn.ModuleList(
            nn.Identity() if widths.student == widths.teacher else channel_adapter(*widths)
            for widths in self.channels()
        )

    def _require_rank(self) -> None:
        """Refuse more vectors than the rank of the smallest maps allows."""
        rank, layers = min(
            (min(shape[1], shape[2] * shape[3]), pair.description)
            for pair in self.tap_pairs
            for shape in (map_shape(pair.student_shape), map_shape(pair.teacher_shape))
        )
        if self.vectors > rank:
            raise UserError(
                f"kdsvd: loss.vectors={self.vectors}, and maps of {layers} have {rank} at most.",
                f"  take loss.vectors={rank} or less, or other layers: loss.pairs=...",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):  # decompositions have no half precision
            layers = [
                self._vectors(
                    adapter(to_maps(to_float32(student.taps[pair.student]))).flatten(2),
                    to_maps(to_float32(teacher.taps[pair.teacher].detach())).flatten(2),
                )
                for pair, adapter in zip(self.tap_pairs, self.adapters, strict=True)
            ]
        distances = [_distance(layer, deeper) for layer, deeper in pairwise(layers)]
        return {"kdsvd": sum_terms(distances)}

    def _vectors(self, student: Tensor, teacher: Tensor) -> _Vectors:
        """Return the vectors of maps (B, C, H W); the student's have the order of the teacher's."""
        with torch.no_grad():
            target = top_singular(teacher, self.vectors)
            weights = F.normalize(target.squares.clamp_min(0).sqrt(), dim=1)[:, None]
            candidates = top_singular(student.detach(), self.vectors + _EXTRA)
            cosines = candidates.vectors.mT @ target.vectors  # (B, student's, teacher's)
            match = cosines.abs().argmax(dim=1)
            index = match[:, None].expand(-1, student.shape[1], -1)
            vectors = candidates.vectors.gather(2, index)
            vectors = vectors * cosines.gather(1, match[:, None]).sign()
            squares = candidates.squares.gather(1, match)
        vectors = attach_gradient(student, squares, vectors)
        return _Vectors(vectors * weights, target.vectors * weights)


def _distance(layer: _Vectors, deeper: _Vectors) -> Tensor:
    """Return the term of a pair of successive layers."""
    difference = _similarity(layer.student, deeper.student)
    difference = difference - _similarity(layer.teacher, deeper.teacher)
    return difference.square().sum() / len(layer.student)


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return R (B, C1, C2, k) of vectors (B, C1, k) and (B, C2, k)."""
    return (-(first[:, :, None] - second[:, None]).square() / _WIDTH).exp()
