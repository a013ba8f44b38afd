"""How features change from stage to stage: the student's flow matrices pulled to the teacher's."""

from itertools import pairwise
from typing import Unpack

import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Output
from kdrun.loss.adapters import as_grid, grid_shape, to_smaller_grid
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.two_phase_loss import Staged
from kdrun.loss.weighted_loss import TermWeights


class Flow(Staged):
    """Yim, Joo, Bae, Kim 2017 (CVPR), equations 1 and 2.

    Sum over successive places of mean_b,i,j (G_s - G_t)^2, where G = X Y' / (H W) is made of the
    maps X (C1, H W) of one place and Y (C2, H W) of the next, averaged to the smaller grid of both.
    """

    def __init__(
        self, pairs: Pairs, first_epochs: NonNegativeInt, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(first_epochs, pairs, **shares)

    def build(self) -> None:
        if len(self.joined) < 2:
            raise UserError(
                f"fsp needs 2 places in a row, and there is only {self.joined[0].where}.",
                "  name more: loss.pairs=[[PATH,PATH],[PATH,PATH]]; kdrun layers model=NAME",
            )
        for pair in self.joined:
            _require_equal_channels(pair)

    def own(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        distances = []
        with no_autocast(student.logits):
            for before, after in pairwise(self.joined):
                own = _flow(student.taps[before.student], student.taps[after.student])
                other = _flow(teacher.taps[before.teacher], teacher.taps[after.teacher])
                distances.append(F.mse_loss(own, other.detach()))
        return {"fsp": sum(distances[1:], distances[0])}


def _flow(before: Tensor, after: Tensor) -> Tensor:
    """Two places' features -> (B, C1, C2)."""
    first, second = to_smaller_grid(as_grid(to_float32(before)), as_grid(to_float32(after)))
    return first.flatten(2) @ second.flatten(2).mT / (first.shape[2] * first.shape[3])


def _require_equal_channels(pair: Pair) -> None:
    own, other = grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1]
    if own != other:
        raise UserError(
            f"fsp compares matrices of channels, and {pair.where} have {own} and {other}.",
            "  choose a student of the teacher's widths (wrn_16_2 from wrn_40_2), places with equal"
            " channels (loss.pairs=[[PATH,PATH],...]), or loss=ickd, which adapts them",
        )
