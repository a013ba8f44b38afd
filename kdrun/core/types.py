"""The objects that data, networks and losses pass to each other: batches, outputs, shapes, ...

Shapes: B samples, C classes, N rows of logits (N = B for classification).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kdrun.core.class_merge import Merge
from kdrun.core.inputs import InputDescription
from kdrun.core.inputs.types import CPU, Inputs


@dataclass(frozen=True)
class DataInfo:
    """Describes a dataset, for networks and losses that are built before its files are read.

    Attributes:
        classes: class names in the order of their labels.
        inputs: what the inputs of networks look like.
        train_size: number of training samples, without those of the validation split.
        merge: how these classes were merged from the teacher's classes; None if teacher and student
            have the same classes.
    """

    classes: tuple[str, ...]
    inputs: InputDescription
    train_size: int
    merge: Merge | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def example(self, count: int, device: torch.device = CPU) -> Inputs:
        """Return inputs of `count` blank samples, with the structure of batches."""
        return self.inputs.example(count, device)


@dataclass
class Batch:
    """One step's data, on the device.

    Attributes:
        inputs: normalized images (B, C, H, W), or a mapping of tensors, each (B, ...).
        targets: (N,) int64 labels.
        index: (B,) int64 positions in the training split, by which memory banks and stored
            teacher outputs are addressed.
        view: (B,) int64, the number of each sample's augmented view.
        soft_targets: (N, C) label probabilities from smoothing, mixup or cutmix; else None.
        labeled: (N,) bool, which samples have a label; None if all have one. The target of a
            sample without a label is the class that the teacher predicts; label terms skip it.
        labeled_share: scalar, the share of labeled samples in the full batch of the step, of which
            this batch may be a part; None if unknown.
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
        mask: (B, T) bool, which tokens of the network's inputs are no padding; None if its inputs
            are no sequences. Taps (B, T, C) have the same positions.
    """

    logits: Tensor
    taps: Mapping[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None


@dataclass(frozen=True)
class Progress:
    """How far the training of a network is; losses change their weights by it.

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
        """The share of the phase's steps that are finished, from 0 to 1."""
        return self.step / max(1, self.steps)


@dataclass(frozen=True)
class TapRequest:
    """Which activations a loss reads: for each network, name of the tap -> role or module path.

    A role is `logits`, `embedding`, or `stages[i]`; in networks of texts also `tokens`, the output
    of the embedding layer, and `queries[i]`, `keys[i]`, `values[i]` of each layer. A module path
    is dotted, as `kdrun layers` prints it. By default the tap is the output of the module; a suffix
    changes that:

    - `PATH:in` is the first input of the module;
    - `PATH:pre` is the output before the activation function;
    - `PATH:nhwc` is an output (B, H, W, C), permuted to (B, C, H, W);
    - `PATH:maps` are the maps (B, C, H, W) whose average over pixels is the tap.

    A role or path with a star, as in `stages[*]` or `layer*`, matches several modules, whose taps
    are called NAME[0], NAME[1], ...
    """

    student: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TapShapes:
    """A network and its taps, from which a loss builds its adapters.

    Attributes:
        shapes: name of each tap -> shape for a batch of two samples.
        network: the network, for losses that reuse its modules.
        paths: name of each tap -> tap path, as `kdrun.core.taps` describes it.
    """

    shapes: Mapping[str, tuple[int, ...]]
    network: nn.Module
    paths: Mapping[str, str]


@dataclass(frozen=True)
class Phase:
    """A number of epochs in which some of the parameters learn.

    In phases before the main one the learning rate is constant, after the recipe's warm-up.

    Attributes:
        name: `main`, or the loss's own name for a phase before it.
        epochs: None for the main phase, whose number of epochs is the recipe's.
        trains: globs of the parameters that learn, called `student.PATH` and `loss.PATH`.
    """

    name: str
    epochs: int | None = None
    trains: tuple[str, ...] = ("student.*", "loss.*")


MAIN = Phase("main")
