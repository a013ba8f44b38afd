"""What the parts hand each other: batches, outputs, shapes, progress.

Shapes: B samples, C classes, N rows of logits (N = B for classification).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from kdrun.core.class_merge import Merge

Inputs = Tensor | Mapping[str, Tensor]  # images (B, C, H, W), or named tensors


@dataclass(frozen=True)
class DataInfo:
    """What networks and losses may know of a dataset before it is read.

    Attributes:
        classes: class names in the order of their labels.
        channels: 1 for grey, 3 for color images.
        image_size: (height, width) in pixels.
        train_size: samples of the training split, after validation was carved from it.
        merge: how the classes were made of those that the teacher knows, where it knows more.
    """

    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]
    train_size: int
    merge: Merge | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)


@dataclass
class Batch:
    """One step's data, on the device.

    Attributes:
        inputs: normalized images (B, C, H, W), or a mapping of tensors.
        targets: (N,) int64 labels.
        index: (B,) int64 positions in the split: memory banks, stored outputs.
        view: (B,) int64, which augmentation of the sample this is.
        soft_targets: (N, C) label probabilities where smoothing, mixup or cutmix made them.
        labeled: (N,) bool, True where `targets` has a label and False where it has the teacher's
            decision, which the cross-entropy with the labels leaves out. None: all have labels.
        labeled_share: share of labeled samples in the whole batch of which this is a part; None:
            this is the whole batch.
    """

    inputs: Inputs
    targets: Tensor
    index: Tensor
    view: Tensor
    soft_targets: Tensor | None = None
    labeled: Tensor | None = None
    labeled_share: Tensor | None = None


@dataclass
class Output:
    """What a network answered: logits (N, C), and the activations that a loss asked for."""

    logits: Tensor
    taps: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Where in a stage's training a step is; `epoch` and `step` count from 0 in the phase."""

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def fraction(self) -> float:
        """How much of the phase lies behind, from 0 to 1."""
        return self.step / max(1, self.steps)


@dataclass(frozen=True)
class TapRequest:
    """Which activations a loss reads: its own name for each -> a role or a module path.

    A role is `logits`, `embedding`, or `stages[i]`; a path is dotted, as `kdrun layers` prints
    it, and with `:in` appended means what enters that module rather than what leaves it; with
    `:pre`, what leaves it as it is before the activation; with `:nhwc`, what leaves it as
    (B, H, W, C), which taps then give as (B, C, H, W). With a star, `stages[*]` or `layer*`, it
    means several places; their taps are NAME[0], NAME[1], ...
    """

    student: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TapShapes:
    """One network as a loss sees it when it builds its adapters.

    Attributes:
        shapes: shape of each requested tap for a batch of two samples.
        network: the network itself, for losses that reuse a part of it.
        paths: the tap path of each requested tap.
    """

    shapes: Mapping[str, tuple[int, ...]]
    network: nn.Module
    paths: Mapping[str, str]


@dataclass(frozen=True)
class Phase:
    """A span of a stage's training in which some of the parameters learn.

    Attributes:
        name: `main`, or the loss's own name for a first phase.
        epochs: its length; None for the main phase, which takes the recipe's.
        trains: globs over `student.PATH` and `loss.PATH` parameter names.
    """

    name: str
    epochs: int | None = None
    trains: tuple[str, ...] = ("student.*", "loss.*")


MAIN = Phase("main")
