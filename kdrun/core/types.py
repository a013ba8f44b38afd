"""What data, networks and losses hand each other: batches, outputs, shapes, progress.

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
        channels: 1 for grey images, 3 for color images.
        image_size: (height, width) in pixels.
        train_size: samples of the training split, after validation was carved from it.
        merge: how these classes were merged from the classes that the teacher knows; None if
            teacher and student know the same classes.
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
        index: (B,) int64 positions in the training split, by which memory banks and stored
            teacher outputs are addressed.
        view: (B,) int64, which augmentation of the sample this is.
        soft_targets: (N, C) label probabilities if smoothing, mixup or cutmix made them.
        labeled: (N,) bool, which samples have a label; None if all have one. The target of a
            sample without a label is the teacher's decision, which label terms leave out.
        labeled_share: scalar, the share of labeled samples in the step's whole batch, of which
            this may be a part; None if that is not known.
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
    """What a network returns.

    Attributes:
        logits: (N, C).
        taps: name of each tap that the loss requests -> activation.
    """

    logits: Tensor
    taps: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far the training of one network is, by which losses change their weights.

    Attributes:
        phase: the name of the current phase.
        epoch: counts from 0 in the phase.
        epochs: epochs of the phase.
        step: counts from 0 in the phase.
        steps: steps of the phase.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def fraction(self) -> float:
        """The share of the phase's steps that are done, from 0 to 1."""
        return self.step / max(1, self.steps)


@dataclass(frozen=True)
class TapRequest:
    """Which activations a loss reads: for each network, name of the tap -> role or module path.

    A role is `logits`, `embedding`, or `stages[i]`. A module path is dotted, as `kdrun layers`
    prints it. By default it means the output of the module; a suffix changes that:

    - `PATH:in` is the first input of the module;
    - `PATH:pre` is the output before the activation function;
    - `PATH:nhwc` is an output (B, H, W, C), which the tap gives as (B, C, H, W).

    With a star, as in `stages[*]` or `layer*`, it means several modules, whose taps are called
    NAME[0], NAME[1], ...
    """

    student: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TapShapes:
    """One network as a loss sees it when it builds its adapters: the network and its taps.

    Attributes:
        shapes: name of each tap -> shape for a batch of two samples.
        network: the network itself, for losses that reuse modules of it.
        paths: name of each tap -> tap path, as `kdrun.core.taps` describes it.
    """

    shapes: Mapping[str, tuple[int, ...]]
    network: nn.Module
    paths: Mapping[str, str]


@dataclass(frozen=True)
class Phase:
    """A number of epochs in which some of the parameters learn.

    Attributes:
        name: `main`, or the loss's own name for a phase before it.
        epochs: None for the main phase, whose number of epochs is the recipe's.
        trains: globs of the parameters that learn, called `student.PATH` and `loss.PATH`.
    """

    name: str
    epochs: int | None = None
    trains: tuple[str, ...] = ("student.*", "loss.*")


MAIN = Phase("main")
