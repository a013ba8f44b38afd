"""The student's features in the teacher's place, under the teacher's own classifier."""

from typing import Any, Literal, Unpack

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import aligned
from kdrun.loss.base import to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class SimKD(WeightedLoss):
    """Chen et al. 2022 (arXiv:2203.14001), equation 5.

    Mean square of (projector(F_s) - F_t), F being what both classifiers read: the maps before the
    average, of the smaller grid, or the embedding. The student keeps the projector, and answers
    through the teacher's classifier, which does not learn.
    """

    def __init__(
        self,
        at: Literal["auto", "maps", "embedding"],
        reduction: PositiveInt,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.at, self.reduction = at, reduction

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
        self.maps = len(student.shapes["projected"]) == 4
        self.place = student.paths["projected"]

    def notes(self) -> list[str]:
        kind = "maps" if self.maps else "embeddings"
        return [f"the projector compares {kind} at {self.place}; the classifier is the teacher's"]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own = student.taps["projected"]
        if self.maps:
            return {"simkd": F.mse_loss(*aligned(own, teacher.taps["maps"]))}
        return {
            "simkd": F.mse_loss(to_float32(own), to_float32(teacher.taps["embedding"].detach()))
        }
