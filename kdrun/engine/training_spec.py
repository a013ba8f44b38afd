"""The input and the result of training one stage."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from torch import Tensor, nn

from kdrun.compress.frozen_zeros import FrozenZeros
from kdrun.core.config import Recipe
from kdrun.core.device import Hardware
from kdrun.core.metrics import Metric
from kdrun.dataset.data import Data
from kdrun.engine.display import Display
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.outputs import StoredOutputs
from kdrun.engine.watch import Watch
from kdrun.loss.base import Loss
from kdrun.measure.metrics import Scores


@dataclass
class TrainingSpec:
    """The networks, the loss, the data and the recipe of one training.

    Attributes:
        stage: the name of the stage; random numbers depend on it.
        model_name: the student's name, for learning rates by model.
        student: the network that learns.
        teacher: the frozen teacher; None if the loss uses none or outputs are stored.
        loss: the loss, bound to student and teacher.
        student_paths: the loss's names of taps (modules whose outputs it reads) -> module paths of
            the student.
        teacher_paths: the same for the teacher.
        data: the splits.
        recipe: optimizer, schedule, epochs, batch size, augmentation.
        frozen: globs of the student's module paths that don't learn.
        good_enough: whether training may stop at these validation scores.
        frozen_zeros: keeps weights of the student 0.
        views: the number of views (augmented versions) of each image, which epochs show in turn;
            None: every epoch shows a new view.
        outputs: the stored outputs of the teacher, used instead of running it.
        training: the fingerprint of the training; a checkpoint of another one is not continued.
        revisions: what computes other values than before -> its revision; a checkpoint of other
            revisions is not continued.
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
    frozen_zeros: FrozenZeros | None = None
    views: int | None = None
    outputs: StoredOutputs | None = None
    training: str = ""
    revisions: Mapping[str, int] = field(default_factory=dict)

    def view(self, epoch: int) -> int:
        """Return the number of the view that an epoch shows."""
        return epoch if self.views is None else epoch % self.views


@dataclass(frozen=True)
class Runtime:
    """Device, seed, display and signals: the same for all stages of a run.

    Attributes:
        seed: the run's seed.
        hardware: device, precision and threads.
        compile: whether networks are compiled.
        checkpoint_seconds: time between two checkpoints.
        display: shows the progress.
        interrupt: remembers a signal until training can stop.
        watch: called with each record of metrics, for example to send it to TensorBoard.
    """

    seed: int
    hardware: Hardware
    compile: bool
    checkpoint_seconds: float
    display: Display
    interrupt: Interrupt
    watch: Watch


@dataclass
class Best:
    """The best epoch by the leading metric on validation; the first one if several are equal."""

    epoch: int = -1
    scores: Scores | None = None

    def is_beaten_by(self, scores: Scores, metric: Metric) -> bool:
        """Return whether an epoch with these scores on validation is better."""
        return self.scores is None or metric.beats(scores[metric.name], self.scores[metric.name])


def checked_scores(value: Any, metric: Metric) -> Scores | None:
    """Return scores from a checkpoint; None if there were none yet.

    Args:
        value: what the checkpoint has.
        metric: a metric that scores must have.

    Raises:
        TypeError: the value is something else.
    """
    if value is None:
        return None
    numbers = [*value.values(), value[metric.name]] if isinstance(value, dict) else [""]
    if not all(type(number) in (int, float) for number in numbers):
        raise TypeError(f"{value!r} for scores")
    return cast("Scores", value)


@dataclass
class Position:
    """The progress of training: all that a checkpoint holds beside tensors.

    Attributes:
        phase: the number of the phase, from 0.
        epoch: finished epochs of the phase.
        step: finished steps of the current epoch.
        seconds: time spent in training steps, including those before an interruption.
        images: samples trained on.
        best: the best epoch so far.
        stopped: why training ended before its last epoch, or an empty string.
        warnings: the warnings that the user has seen.
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
        """Return the position at the start of a phase; seconds, images, best, warnings stay."""
        return replace(self, phase=phase, epoch=0, step=0, stopped="")

    def to_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint, which calls the warnings `told`."""
        state = asdict(self)
        state["told"] = state.pop("warnings")
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], metric: Metric) -> "Position":
        """Return the position in a checkpoint.

        Args:
            state: a result of `to_dict`.
            metric: the leading metric.

        Raises:
            KeyError, TypeError, ValueError: the state is not one of `to_dict`.
        """
        same_keys = {key: value for key, value in state.items() if key not in ("best", "told")}
        best = Best(**state["best"])
        checked_scores(best.scores, metric)
        position = cls(best=best, warnings=state["told"], **same_keys)
        values = [*vars(cls()).items(), ("epoch of the best", 0)]
        found_values = [*vars(position).values(), best.epoch + 1]
        for (name, value), found in zip(values, found_values, strict=True):
            if type(found) is not type(value) or (type(found) is int and found < 0):
                raise ValueError(f"{found!r} for {name!r}")
        return position


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
        weights: the weights of the last epoch; averaged, if the recipe averages them.
        best_weights: the weights of the epoch with the best validation score.
        epochs: finished epochs of the main phase.
        first_epochs: epochs of the phases before the main one.
        steps: updates in all epochs.
        best: the best epoch, counted from 1, and its validation scores.
        validation: the validation scores of the last epoch.
        seconds: time spent in training steps.
        images_per_second: images trained on, divided by these seconds.
        stopped: why training ended early, or an empty string.
        instructions: the CPU instructions that computed, several if it was resumed elsewhere.
        notes: sentences on what happened, for the record.
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
    instructions: tuple[str, ...]
    notes: tuple[str, ...]
