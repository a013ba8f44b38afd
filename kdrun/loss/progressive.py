"""Around a loss: before it, the student's stages learn the teacher's, one after the other."""

from typing import Any

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import module_path
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import aligned, channel_adapter, grid_shape
from kdrun.loss.tap_pairs import Pairs, join, request, told
from kdrun.loss.wrapper import LossWrapper, begun, picked, seen

_OWN, _MATCH = "own/", "match/"  # taps of the loss inside, and the stages that are matched


class Progressive(LossWrapper):
    """Layer-wise training, each stage by the hint of Romero et al. 2015 (arXiv:1412.6550).

    In phase i, of its own epochs, mean (r_i(F_s) - F_t)^2 of the i-th pair of stages, where r_i is
    a 1x1 convolution with a norm; only the student's layers after the stage before it, up to this
    stage, learn, and r_i. Then come the phases of the loss inside, in which all that it trains
    learns. Layers are counted in the order in which the network holds them.

    Args:
        loss: the node of the loss inside.
        epochs: of each stage's phase.
        pairs: `auto` for all stages, or module paths of student and teacher.
    """

    def __init__(self, loss: dict[str, Any], epochs: PositiveInt, pairs: Pairs) -> None:
        super().__init__(loss)
        self.uses_teacher = True
        self.epochs, self.pairs = epochs, pairs

    def taps(self) -> TapRequest:
        inner, own = self.loss.taps(), request(self.pairs, auto="stages[*]")
        return TapRequest(
            {**begun(_OWN, inner.student), **begun(_MATCH, own.student)},
            {**begun(_OWN, inner.teacher), **begun(_MATCH, own.teacher)},
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        own, other = seen(_MATCH, student), teacher and seen(_MATCH, teacher)
        self.joined = join(own, other)
        shapes = [(grid_shape(p.student_shape), grid_shape(p.teacher_shape)) for p in self.joined]
        self.adapters = nn.ModuleList(channel_adapter(s[1], t[1]) for s, t in shapes)
        ends = [module_path(own.paths[pair.student]) for pair in self.joined]
        self._layers = between(student.network, ends)
        if not all(self._layers):
            raise UserError(
                f"scheme.pairs: no weights of the student lie between two of {', '.join(ends)}.",
                "  name places that have layers of their own before them",
            )
        inner = None
        if teacher is not None and self.loss.uses_teacher:
            inner = seen(_OWN, teacher)
        super().bind(seen(_OWN, student), inner, data)

    def phases(self) -> tuple[Phase, ...]:
        first = tuple(
            Phase(
                f"stage{number + 1}",
                self.epochs,
                (*(f"student.{name}" for name in names), f"loss.adapters.{number}.*"),
            )
            for number, names in enumerate(self._layers)
        )
        return (*first, *super().phases())

    def notes(self) -> list[str]:
        return [f"stage by stage, {told(self.joined)}", *super().notes()]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if teacher is None:
            raise TypeError("this loss reads a teacher, and none was given")
        names = [phase.name for phase in self.phases()[: len(self.joined)]]
        if progress.phase in names:
            return {"match": self._match(names.index(progress.phase), student, teacher)}
        own = Output(student.logits, picked(_OWN, student.taps))
        other = Output(teacher.logits, picked(_OWN, teacher.taps))
        return super().forward(own, other if self.loss.uses_teacher else None, batch, progress)

    def _match(self, number: int, student: Output, teacher: Output) -> Tensor:
        pair, adapter = self.joined[number], self.adapters[number]
        maps = aligned(student.taps[_MATCH + pair.student], teacher.taps[_MATCH + pair.teacher])
        return F.mse_loss(adapter(maps[0]).to(maps[1].dtype), maps[1])


def between(network: nn.Module, ends: list[str]) -> list[list[str]]:
    """Names of the parameters up to each of these modules, after those of the module before it."""
    modules = [path for path, _ in network.named_modules()]
    owners = {
        name: modules.index(name.rpartition(".")[0]) for name, _ in network.named_parameters()
    }
    found, begin = list[list[str]](), -1
    for path in ends:
        inside = [at for at, name in enumerate(modules) if f"{name}.".startswith(f"{path}.")]
        end = inside[-1] if path else len(modules)
        found.append([name for name, at in owners.items() if begin < at <= end])
        begin = max(begin, end)
    return found
