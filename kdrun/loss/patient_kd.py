"""Patient knowledge distillation: the first token of many layers."""

from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.functional import to_float32
from kdrun.loss.tap_pairs import TapPair, describe_pairs
from kdrun.loss.text import count_taps, pair_layers, require_texts, uniform_layers, width_adapter
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_LAYER = "layer"


class PatientKD(WeightedLoss):
    """Patient distillation: the first token of many layers.

    Formula:
        mean (h_s,l / |h_s,l| - h_t,l' / |h_t,l'|)^2 over texts, layers and channels
        h_l: hidden state of a text's first token after layer l, which is [CLS] in BERT
        l: the student's layers but the last one, M in all with it; N layers of the teacher
        skip: l' = l N / M, rounded down; last: l' = N - M + l

    Paper:
        Sun, Cheng, Gan, Liu, Patient Knowledge Distillation for BERT Model Compression, EMNLP 2019,
        arXiv:1908.09355, equations 7 and 8

    Needs:
        - networks of texts with one tokenizer, the student of two layers or more, the teacher of at
          least as many
        - a learned linear map for each layer if the widths differ

    Notes:
        - Equation 7 sums squares over channels and texts; the mean has smaller values, hence the
          large weight.
        - The last layers are left out, as logits are compared by the soft targets (loss.kd).
        - Without a special token at its beginning, a text's first token is its first word: then
          loss=hidden_mse, which compares all tokens, suits better.
    """

    def __init__(self, strategy: Literal["skip", "last"], **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.strategy = strategy
        self.tap_pairs: list[TapPair] = []
        self.adapters = nn.ModuleList()

    def taps(self) -> TapRequest:
        return TapRequest({_LAYER: "stages[*]"}, {_LAYER: "stages[*]"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_texts("patient_kd", student, teacher, data)
        students, teachers = count_taps(student, _LAYER), count_taps(teacher, _LAYER)
        if not 2 <= students <= teachers:
            raise UserError(
                "patient_kd compares all layers but the last, and the student has"
                f" {students}, the teacher {teachers}.",
                "  take a student of two layers or more, and no more than the teacher's",
            )
        layers = uniform_layers(students, teachers)
        if self.strategy == "last":
            layers = list(range(teachers - students, teachers))
        self.tap_pairs = pair_layers(student, teacher, _LAYER, list(enumerate(layers[:-1])))
        self.adapters = nn.ModuleList(
            width_adapter(student, teacher, pair.student, pair.teacher) for pair in self.tap_pairs
        )

    def notes(self) -> list[str]:
        return [describe_pairs(self.tap_pairs)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        errors = []
        for pair, adapter in zip(self.tap_pairs, self.adapters, strict=True):
            first = to_float32(adapter(to_float32(student.taps[pair.student][:, 0])))
            target = to_float32(teacher.taps[pair.teacher][:, 0].detach())
            errors.append(F.mse_loss(F.normalize(first), F.normalize(target)))
        return {"patient_kd": torch.stack(errors).mean()}
