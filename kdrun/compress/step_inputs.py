"""The inputs of a compression step besides the network: samples, a seed, costs of networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kdrun.compress.calibrators import Calibrator
from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding
from kdrun.core.inputs.types import Inputs, take


class TokenUse(NamedTuple):
    """Which tokens texts have.

    Attributes:
        counts: (size,) how often the texts have each id.
        unknown: the id of the unknown token.
    """

    counts: Tensor
    unknown: int


@dataclass(frozen=True)
class StepInputs:
    """The inputs of a compression step.

    Attributes:
        batches: inputs with labels (B,), from the training split without augmentation. The label
            of an unlabeled sample is -1.
        calibrator: chooses the ranges of quantized activations.
        seed: determines all random numbers of the step.
        macs: computes the multiply-accumulate operations of a network for one sample.
        token_use: counts the tokens of an encoding in the training split; for data of texts.
        latency: measures the milliseconds of a network's forward pass in eager PyTorch.
    """

    batches: Sequence[tuple[Inputs, Tensor]]
    calibrator: Calibrator
    seed: int
    macs: Callable[[nn.Module], int]
    latency: Callable[[nn.Module], float]
    token_use: Callable[[Encoding], TokenUse]

    @property
    def sample(self) -> Inputs:
        """Two samples, for work that depends on their shape and dtype only."""
        return take(self.batches[0][0], slice(2))

    def labeled(self, setting: str) -> Sequence[tuple[Inputs, Tensor]]:
        """Return the batches, for a setting that needs labels.

        Raises:
            UserError: the samples have no labels. The message begins with the setting.
        """
        if any((labels < 0).any() for _, labels in self.batches):
            raise without_labels(setting)
        return self.batches

    @property
    def generator(self) -> torch.Generator:
        """A new generator on the CPU, whose numbers are the same on every machine."""
        return torch.Generator().manual_seed(self.seed)


def without_labels(setting: str) -> UserError:
    """Return the error for a setting that needs labels if no training sample has one."""
    return UserError(
        f"{setting} needs labels, and no training sample has one.",
        "  take one that needs only the weights, or keep some labels: a smaller dataset.unlabeled",
    )
