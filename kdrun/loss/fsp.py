"""Flow of the solution procedure."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Output
from kdrun.loss.adapters import count_channels, rows_of, to_smaller_size
from kdrun.loss.functional import no_autocast, sum_terms
from kdrun.loss.tap_pairs import TapPair
from kdrun.loss.two_phase_loss import TwoPhaseLoss


class FSP(TwoPhaseLoss):
    """Flow of the solution procedure: products of successive layers' channels.

    Formula:
        fsp = mean (G_s - G_t)^2, summed over successive layers
        G = X Y' / (H W); X (C1, H W), Y (C2, H W): the maps of a layer and of the next layer
        averaged over the batch and the elements of G; s, t: student and teacher

    Paper:
        Yim, Joo, Bae and Kim, A Gift from Knowledge Distillation: Fast Optimization, Network
        Minimization and Transfer Learning, CVPR 2017, equations 1 and 2

    Needs:
        - feature maps of both at 2 or more layers, with equal numbers of channels
        - a first phase, unless loss.first_epochs=0

    Notes:
        - The first phase trains with this term alone, unweighted and at a constant rate, the main
          phase with the labels alone; loss.first_epochs=0 trains with both together.
        - The layers are the ends of stages; the public code of the CIFAR-100 tables in distillation
          papers uses the stem too, which loss.pairs can name.
        - In a text, H W is the number of its tokens.
        - Maps of two sizes are averaged to the smaller one.
    """

    compares_tokens = False

    def build(self) -> None:
        if len(self.tap_pairs) < 2:
            raise UserError(
                f"fsp needs 2 layers in a row, and there is only {self.tap_pairs[0].description}.",
                "  name more: loss.pairs=[[PATH,PATH],[PATH,PATH]]; kdrun layers model=NAME",
            )
        for pair in self.tap_pairs:
            _require_equal_channels(pair)

    def feature_terms(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        errors = []
        with no_autocast(student.logits):
            for before, after in pairwise(self.tap_pairs):
                flow = _flow(student, before.student, after.student)
                target = _flow(teacher, before.teacher, after.teacher)
                errors.append(F.mse_loss(flow, target.detach()))
        return {"fsp": sum_terms(errors)}


def _flow(output: Output, before: str, after: str) -> Tensor:
    """Return G (B, C1, C2) of the taps of two layers."""
    first, second = to_smaller_size(rows_of(output, before), rows_of(output, after))
    products = first.flatten(2) @ second.flatten(2).mT
    size = first.shape[2] * first.shape[3]
    if output.mask is None or size == 1:
        return products / size
    return products / output.mask.sum(dim=1)[:, None, None]


def _require_equal_channels(pair: TapPair) -> None:
    student, teacher = count_channels(pair.student_shape, pair.teacher_shape)
    if student != teacher:
        raise UserError(
            f"fsp compares matrices of channels, and {pair.description} have {student} and"
            f" {teacher}.",
            "  choose a student of the teacher's widths (teacher=resnet20 student=resnet8), layers"
            " with equal channels (loss.pairs=[[PATH,PATH],...]), or loss=ickd, which adapts them",
        )
