"""Softmax regression representation learning."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import embeddings_of, map_shape
from kdrun.loss.base import require_teacher
from kdrun.loss.functional import copy_classifier, find_linear, no_autocast, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_TAP, _CLASSIFIER = "tap", "head"


class SRRL(WeightedLoss):
    """Softmax regression: embeddings for the teacher's classifier.

    Formula:
        mean (r(f_s) - f_t)^2 + mean (W r(f_s) + b - z_t)^2
        f_s, f_t: embeddings; z_t: the teacher's logits; W, b: its classifier, which does not learn
        r: a learned linear map with a batch norm and, if `relu`, a ReLU

    Paper:
        Yang, Martinez, Bulat, Tzimiropoulos, Knowledge Distillation via Softmax Regression
        Representation Learning, ICLR 2021

    Needs:
        - embeddings of both (any widths)
        - a linear layer that computes the teacher's logits from its embedding
        - a batch of 2 or more

    Notes:
        - The errors are squared and r maps embeddings, as in the comparison of the SimKD paper; the
          code of SRRL's authors differs in its first term.
        - Embeddings of transformers can be below 0, which a ReLU can't produce; relu=false removes
          it.
    """

    min_batch = 2  # the batch norm of r can't compute statistics of one sample
    copies_teacher_weights = copies_teacher_classifier = True

    # Registered as buffers by `bind`; annotated here for the type checker.
    head_weight: Tensor
    head_bias: Tensor

    # Built by `bind`, from the shapes of the taps.
    adapter: nn.Sequential

    def __init__(self, relu: bool, place: str, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.relu, self.student_path = relu, place
        self.description = ""

    def taps(self) -> TapRequest:
        return TapRequest({_TAP: self.student_path}, {_TAP: "embedding", _CLASSIFIER: "logits"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_teacher(teacher)
        classifier = _classifier(teacher)
        width = map_shape(student.shapes[_TAP])[1]
        layers = [
            nn.Linear(width, classifier.in_features, bias=False),
            nn.BatchNorm1d(classifier.in_features),
            *([nn.ReLU()] if self.relu else []),
        ]
        self.adapter = nn.Sequential(*layers)
        copy_classifier(classifier, self, "head")
        self.description = (
            f"pairs: {student.paths[_TAP]} from {teacher.paths[_TAP]},"
            f" read by {teacher.paths[_CLASSIFIER]}"
        )

    def notes(self) -> list[str]:
        return [self.description]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            embeddings = embeddings_of(student, _TAP)
            if len(embeddings) < self.min_batch:
                return {"srrl_features": 0 * embeddings.sum(), "srrl_logits": 0 * embeddings.sum()}
            adapted = self.adapter(embeddings)
            logits = F.linear(adapted, self.head_weight, self.head_bias)
            target = embeddings_of(teacher, _TAP).detach()
            return {
                "srrl_features": F.mse_loss(adapted, target),
                "srrl_logits": F.mse_loss(logits, to_float32(teacher.logits.detach())),
            }


def _classifier(teacher: TapShapes) -> nn.Linear:
    """Return the linear layer that computes the teacher's logits from its embedding.

    Raises:
        UserError: the teacher has no such layer.
    """
    path, width = teacher.paths[_CLASSIFIER], map_shape(teacher.shapes[_TAP])[1]
    layer = find_linear(teacher.network, path)
    if layer is None:
        kind = type(teacher.network.get_submodule(path)).__name__
        raise UserError(
            "loss 'srrl' reuses the teacher's linear classifier, and this teacher has none.",
            f"  its logits come from {path or 'the network itself'} ({kind}): "
            "choose another teacher, or another loss such as pkt",
        )
    if layer.in_features != width:
        raise UserError(
            f"loss 'srrl': the teacher's classifier {path!r} reads {layer.in_features} numbers, "
            f"its embedding has {width}.",
            f"  name what enters it: teacher.taps.embedding={path}:in",
        )
    return layer
