"""A wrapper that lets a few modules of the student learn; the others keep the teacher's weights."""

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import module_path
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.prefixes import add_prefix, strip_output_prefix, strip_prefix, strip_tap_prefix
from kdrun.loss.wrapper import LossWrapper

_INNER = "inner/"  # prefix of the inner loss's student taps
_LEARN = "learn/"  # prefix of taps on the modules that learn


class SharedBody(LossWrapper):
    """The loss of scheme=shared_body; `kdrun.scheme.shared_body.SharedBody` has its formula.

    Norms outside of the modules that learn keep their statistics, as the engine leaves every module
    in eval mode that has no parameter that learns.

    Args:
        loss: the config node of the inner loss.
        learn: the modules that learn: roles or module paths, which may have stars.
    """

    def __init__(self, loss: dict[str, Any], learn: list[str]) -> None:
        super().__init__(loss)
        self.learn = learn
        self._learning: list[str] = []  # names of the student's parameters that learn
        self._note = ""

    def taps(self) -> TapRequest:
        inner = self.loss.taps()
        learn = {str(number): path for number, path in enumerate(self.learn)}
        student = {**add_prefix(_INNER, inner.student), **add_prefix(_LEARN, learn)}
        return TapRequest(student, inner.teacher)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if getattr(student.network, "borrows", None):
            raise UserError(
                "the loss replaces the student's network by one with frozen modules of the teacher:"
                " no body is shared.",
                "  choose a loss that leaves the student as it is: loss=kd",
            )
        paths = strip_prefix(_LEARN, student.paths).values()
        self._learning = parameters_below(student.network, paths)
        if not self._learning:
            raise UserError(
                f"scheme.learn={self.learn} names no module with weights: nothing would learn.",
                "  for the classifier alone: scheme.learn=[logits]",
            )
        super().bind(strip_tap_prefix(_INNER, student), teacher, data)
        total = len(list(student.network.parameters()))
        self._note = f"{len(self._learning)} of {total} weights learn, in {', '.join(paths)}"

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases of the inner loss, which train only the chosen student parameters."""
        return tuple(replace(phase, trains=self._limit(phase.trains)) for phase in super().phases())

    def notes(self) -> list[str]:
        return [self._note, *super().notes()]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        student = strip_output_prefix(_INNER, student)
        return super().forward(student, teacher, batch, progress)

    def _limit(self, trains: tuple[str, ...]) -> tuple[str, ...]:
        """Return a phase's globs, in which the names of parameters replace the student's globs."""
        names = [f"student.{name}" for name in self._learning]
        learning = [name for name in names if any(fnmatch(name, glob) for glob in trains)]
        return (*learning, *(glob for glob in trains if glob.startswith("loss.")))


def parameters_below(network: nn.Module, paths: Iterable[str]) -> list[str]:
    """Return the names of the parameters in the modules at some tap paths.

    An empty path stands for the network itself.
    """
    prefixes = [f"{module_path(path)}." if path else "" for path in paths]
    return [
        name
        for name, _ in network.named_parameters()
        if any(name.startswith(prefix) for prefix in prefixes)
    ]
