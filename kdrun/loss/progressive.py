"""A wrapper with earlier phases, in which the student's stages learn the teacher's one by one."""

from typing import Any

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import module_path
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import align, channel_adapter, count_channels, maps_of
from kdrun.loss.base import require_teacher
from kdrun.loss.prefixes import add_prefix, strip_output_prefix, strip_tap_prefix
from kdrun.loss.tap_pairs import (
    TapPair,
    TapPairs,
    describe_pairs,
    pair_taps,
    request_pairs,
    require_one_tokenizer,
    require_same_tokens,
)
from kdrun.loss.wrapper import LossWrapper

_INNER, _MATCH = "inner/", "match/"  # prefixes of the inner loss's taps, and of taps on stages


class Progressive(LossWrapper):
    """The loss of scheme=progressive; `kdrun.scheme.progressive.Progressive` has its formula.

    Args:
        loss: the config node of the inner loss.
        epochs: epochs of each stage's phase.
        pairs: `auto` for all stages, or module paths of student and teacher.
    """

    revision = 2  # 2: a constant learning rate in the first phases

    def __init__(self, loss: dict[str, Any], epochs: PositiveInt, pairs: TapPairs) -> None:
        super().__init__(loss)
        self.uses_teacher = True
        self.epochs, self.pairs = epochs, pairs
        self.tap_pairs: list[TapPair] = []
        self.adapters = nn.ModuleList()
        self._layers: list[list[str]] = []  # for each phase, names of the parameters that learn

    def taps(self) -> TapRequest:
        inner, stages = self.loss.taps(), request_pairs(self.pairs, auto="stages[*]")
        return TapRequest(
            {**add_prefix(_INNER, inner.student), **add_prefix(_MATCH, stages.student)},
            {**add_prefix(_INNER, inner.teacher), **add_prefix(_MATCH, stages.teacher)},
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        stages = strip_tap_prefix(_MATCH, student)
        self.tap_pairs = pair_taps(stages, teacher and strip_tap_prefix(_MATCH, teacher))
        if data.inputs.modality == "text":
            require_one_tokenizer(stages, teacher)
            require_same_tokens(self.tap_pairs)
        self.adapters = nn.ModuleList(
            channel_adapter(*count_channels(pair.student_shape, pair.teacher_shape))
            for pair in self.tap_pairs
        )
        ends = [module_path(stages.paths[pair.student]) for pair in self.tap_pairs]
        self._layers = parameters_between(student.network, ends)
        if not all(self._layers):
            raise UserError(
                f"scheme.pairs: no weights of the student lie between two of {', '.join(ends)}.",
                "  name modules that have layers of their own before them",
            )
        inner = None
        if teacher is not None and self.loss.uses_teacher:
            inner = strip_tap_prefix(_INNER, teacher)
        super().bind(strip_tap_prefix(_INNER, student), inner, data)

    def phases(self) -> tuple[Phase, ...]:
        stage_phases = tuple(
            Phase(
                f"stage{number + 1}",
                self.epochs,
                (*(f"student.{name}" for name in names), f"loss.adapters.{number}.*"),
            )
            for number, names in enumerate(self._layers)
        )
        return (*stage_phases, *super().phases())

    def notes(self) -> list[str]:
        return [f"stage by stage, {describe_pairs(self.tap_pairs)}", *super().notes()]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        teacher = require_teacher(teacher)
        names = [phase.name for phase in self.phases()[: len(self.tap_pairs)]]
        if progress.phase in names:
            return {"match": self._match(names.index(progress.phase), student, teacher)}
        student, inner = (strip_output_prefix(_INNER, output) for output in (student, teacher))
        return super().forward(student, inner if self.loss.uses_teacher else None, batch, progress)

    def _match(self, number: int, student: Output, teacher: Output) -> Tensor:
        """Return mean (r_i(F_s) - F_t)^2 of a pair of stages."""
        pair, adapter = self.tap_pairs[number], self.adapters[number]
        maps = align(
            maps_of(student, _MATCH + pair.student), maps_of(teacher, _MATCH + pair.teacher)
        )
        return F.mse_loss(adapter(maps.student).to(maps.teacher.dtype), maps.teacher)


def parameters_between(network: nn.Module, ends: list[str]) -> list[list[str]]:
    """Divide the layers of a network into spans, and return the parameter names of each span.

    Args:
        network: its layers have the order of `named_modules`.
        ends: the module path at which each span ends; the next span begins after it.
    """
    modules = [path for path, _ in network.named_modules()]
    module_index = {
        name: modules.index(name.rpartition(".")[0]) for name, _ in network.named_parameters()
    }
    spans, begin = list[list[str]](), -1
    for path in ends:
        inside = [index for index, name in enumerate(modules) if f"{name}.".startswith(f"{path}.")]
        end = inside[-1] if path else len(modules)
        spans.append([name for name, index in module_index.items() if begin < index <= end])
        begin = max(begin, end)
    return spans
