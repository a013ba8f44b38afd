"""The inputs of a compression step besides the network: samples, a seed, costs of networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdrun.compress.calibrators import Calibrator
from kdrun.core.errors import UserError


@dataclass(frozen=True)
class StepInputs:
    """The inputs of a compression step.

    Attributes:
        batches: images (B, C, H, W) with labels (B,), from the training split without augmentation.
            The label of an unlabeled image is -1.
        calibrator: chooses the ranges of quantized activations.
        seed: determines all random numbers of the step.
        macs: computes the multiply-accumulate operations of a network for one image.
        latency: measures the milliseconds of a network's forward pass in eager PyTorch.
    """

    batches: Sequence[tuple[Tensor, Tensor]]
    calibrator: Calibrator
    seed: int
    macs: Callable[[nn.Module], int]
    latency: Callable[[nn.Module], float]

    @property
    def sample(self) -> Tensor:
        """Two images, for work that depends on their shape and dtype only."""
        return self.batches[0][0][:2]

    def labeled(self, setting: str) -> Sequence[tuple[Tensor, Tensor]]:
        """Return the batches, for a setting that needs labels.

        Raises:
            UserError: the images have no labels. The message begins with the setting.
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
