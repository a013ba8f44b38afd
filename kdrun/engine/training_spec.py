"""What a stage's training is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from kdrun.compress.frozen_zeros import FrozenZeros
from kdrun.core.config import Recipe
from kdrun.core.device import Hardware
from kdrun.core.metrics import leading
from kdrun.dataset.data import Data
from kdrun.engine.display import Display
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.outputs import TeacherOutputs
from kdrun.engine.watch import Watch
from kdrun.loss.base import Loss
from kdrun.measure.metrics import Scores


@dataclass
class TrainingSpec:
    """Who learns what from whom.

    Attributes:
        stage: teacher, alone, distill: the stream of its random numbers.
        model_name: the student's name, for learning rates by model.
        student: the network that learns.
        teacher: the frozen network that it learns from, if the loss uses one.
        loss: bound to both.
        student_paths: the loss's tap names -> module paths of the student.
        teacher_paths: the same of the teacher.
        data: the splits.
        recipe: how.
        frozen: globs of the student's module paths that don't learn.
        good_enough: says of validation scores whether training may stop.
        masked: which of the student's weights stay 0.
        views: of each image, which epochs show in turn; None: each epoch its own.
        outputs: what the teacher answered to them, in its place.
    """

    stage: str
    model_name: str
    student: nn.Module
    teacher: nn.Module | None
    loss: Loss
    data: Data
    recipe: Recipe
    student_paths: Mapping[str, str] = field(default_factory=dict)
    teacher_paths: Mapping[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    good_enough: Callable[[Scores], bool] | None = None
    masked: FrozenZeros | None = None
    views: int | None = None
    outputs: TeacherOutputs | None = None

    def view(self, epoch: int) -> int:
        """Which view of the images an epoch shows."""
        return epoch if self.views is None else epoch % self.views


@dataclass(frozen=True)
class Runtime:
    """Where and how a stage computes: the same for all stages of a run."""

    seed: int
    hardware: Hardware
    compile: bool
    checkpoint_seconds: float
    display: Display
    interrupt: Interrupt
    watch: Watch


@dataclass
class Best:
    """The epoch that is best on validation by the leading metric; the first of equals."""

    epoch: int = -1
    scores: Scores | None = None

    @property
    def score(self) -> float:
        """The leading score of that epoch; -1 before the first one."""
        return -1.0 if self.scores is None else self.scores[leading().name]

    def is_beaten_by(self, scores: Scores) -> bool:
        """Return whether an epoch with these scores on validation is better."""
        metric = leading()
        score = scores[metric.name]
        return self.scores is None or metric.merit(score) > metric.merit(self.score)


@dataclass
class Position:
    """Where training is; all that is resumed beside tensors.

    Attributes:
        phase: number of the phase.
        epoch: epochs of it that are finished.
        step: steps done of the epoch that is not.
        seconds: time spent in steps, over all interruptions.
        images: samples trained on.
        best: the best epoch so far.
        stopped: why training ended before its last epoch, or an empty string.
        warnings: sentences that the user was warned with.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    images: int = 0
    best: Best = field(default_factory=Best)
    stopped: str = ""
    warnings: list[str] = field(default_factory=list)

    def begin(self, phase: int) -> "Position":
        """The position at the start of a phase, with the counts of those before it."""
        return replace(self, phase=phase, epoch=0, step=0, stopped="")

    def to_dict(self) -> dict[str, Any]:
        """The position as checkpoints hold it, where `warnings` are called `told`."""
        state = asdict(self)
        state["told"] = state.pop("warnings")
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Position":
        others = {key: value for key, value in state.items() if key not in ("best", "told")}
        return cls(best=Best(**state["best"]), warnings=state["told"], **others)


@dataclass(frozen=True)
class Trained:
    """How training went, for the artefact's record.

    Attributes:
        weights: the last epoch's, averaged where the recipe averages.
        best_weights: those of the best epoch by validation.
        epochs: epochs of the main phase that were finished.
        first_epochs: those of the phases before it.
        steps: updates in all of them.
        best: its best epoch, counted from 1, and that epoch's scores on validation.
        validation: scores of the last epoch.
        seconds: time spent in training steps.
        images_per_second: over these.
        stopped: why it ended early, or an empty string.
        notes: choices made on the way, in words.
    """

    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    epochs: int
    first_epochs: int
    steps: int
    best: Best
    validation: Scores
    seconds: float
    images_per_second: float
    stopped: str
    notes: tuple[str, ...]
