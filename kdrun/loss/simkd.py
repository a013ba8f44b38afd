"""SimKD: the reused teacher classifier."""

from typing import Any, Literal, Unpack

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import align
from kdrun.loss.functional import to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class SimKD(WeightedLoss):
    """SimKD: projected features for the teacher's classifier.

    Formula:
        mean (r(F_s) - F_t)^2
        F_s, F_t: inputs of the classifiers of student and teacher: the last maps (averaged to the
          smaller size) or embeddings
        r: a learned projector; the student's logits are those of the teacher's classifier, which
          does not learn, on r(F_s)

    Paper:
        Chen et al., Knowledge Distillation with the Reused Teacher Classifier, CVPR 2022,
        arXiv:2203.14001, equation 5

    Needs:
        - last feature maps or embeddings of both networks
        - the teacher's classifier

    Notes:
        - The trained student keeps projector and classifier, so it is larger than the chosen
          network; compare its parameters too, which the table counts.
        - Labels are used only with ce above 0, soft targets only with kd above 0.
        - The projector's inner channels are the teacher's channels divided by `reduction`; the
          published results have reduction=2, the largest projector.
    """

    def __init__(
        self,
        at: Literal["auto", "maps", "embedding"],
        reduction: PositiveInt,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.at, self.reduction = at, reduction
        self.compares_maps = False
        self.student_path = ""

    def student_node(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": "reused_head",
            "student": student,
            "teacher": teacher,
            "at": self.at,
            "reduction": self.reduction,
        }

    def taps(self) -> TapRequest:
        maps = {} if self.at == "embedding" else {"maps": "stages[-1]"}
        return TapRequest({"projected": "stages[-1]"}, {**maps, "embedding": "embedding"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None or not hasattr(student.network, "borrows"):
            raise UserError(
                "simkd changes the student, which a sum of losses or this scheme leaves as it is.",
                "  take it alone: loss=simkd scheme=none",
            )
        self.compares_maps = len(student.shapes["projected"]) == 4
        self.student_path = student.paths["projected"]

    def notes(self) -> list[str]:
        kind = "maps" if self.compares_maps else "embeddings"
        return [
            f"the projector compares {kind} at {self.student_path}; the classifier is the teacher's"
        ]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        projected = student.taps["projected"]
        if self.compares_maps:
            return {"simkd": F.mse_loss(*align(projected, teacher.taps["maps"]))}
        target = to_float32(teacher.taps["embedding"].detach())
        return {"simkd": F.mse_loss(to_float32(projected), target)}
