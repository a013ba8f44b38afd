"""Around a loss: of the student only some places learn, the rest stays the teacher's."""

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import module_path
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.wrapper import LossWrapper, begun, picked, seen

_OWN, _LEARN = "own/", "learn/"  # the inner loss's taps of the student, and the places that learn


class SharedBody(LossWrapper):
    """The loss inside, with the student's parameters outside of some places left as they are.

    Norms outside of these places keep their statistics, as those of any module do of which
    nothing learns.

    Args:
        loss: the node of the loss inside.
        learn: roles or module paths, with stars, as a `TapRequest` has them.
    """

    def __init__(self, loss: dict[str, Any], learn: list[str]) -> None:
        super().__init__(loss)
        self.learn = learn

    def taps(self) -> TapRequest:
        asked = self.loss.taps()
        places = begun(_LEARN, {str(number): place for number, place in enumerate(self.learn)})
        return TapRequest({**begun(_OWN, asked.student), **places}, asked.teacher)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if getattr(student.network, "borrows", None):
            raise UserError(
                "the loss puts another network in the student's place, with parts of the teacher's"
                " that don't learn: no body is shared.",
                "  choose a loss that leaves the student as it is: loss=kd",
            )
        places = picked(_LEARN, student.paths).values()
        self._learning = parameters_below(student.network, places)
        if not self._learning:
            raise UserError(
                f"scheme.learn={self.learn} names no place with weights: nothing would learn.",
                "  for the classifier alone: scheme.learn=[logits]",
            )
        super().bind(seen(_OWN, student), teacher, data)
        whole = len(list(student.network.parameters()))
        self._told = f"{len(self._learning)} of {whole} weights learn, in {', '.join(places)}"

    def phases(self) -> tuple[Phase, ...]:
        """Those of the loss inside; of the student, only what may learn does."""
        return tuple(
            replace(phase, trains=self._within(phase.trains)) for phase in super().phases()
        )

    def notes(self) -> list[str]:
        return [self._told, *super().notes()]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own = Output(student.logits, picked(_OWN, student.taps))
        return super().forward(own, teacher, batch, progress)

    def _within(self, trains: tuple[str, ...]) -> tuple[str, ...]:
        named = [f"student.{name}" for name in self._learning]
        chosen = [name for name in named if any(fnmatch(name, glob) for glob in trains)]
        return (*chosen, *(glob for glob in trains if glob.startswith("loss.")))


def parameters_below(network: nn.Module, places: Iterable[str]) -> list[str]:
    """Names of the parameters in modules at tap places; the network's own path is empty."""
    starts = [f"{module_path(place)}." if place else "" for place in places]
    return [
        name
        for name, _ in network.named_parameters()
        if any(name.startswith(start) for start in starts)
    ]
