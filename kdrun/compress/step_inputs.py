"""What a compression step may look at beside the network: samples, a seed, what networks cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdrun.compress.calibrators import Calibrator
from kdrun.core.errors import UserError


@dataclass(frozen=True)
class StepInputs:
    """What a step works with.

    Attributes:
        batches: images (B, C, H, W) with labels (B,), of the training split, not augmented; -1 for
            a label that is not known.
        calibrator: chooses ranges of quantized numbers.
        seed: what is random follows from it.
        macs: multiply-accumulate operations of a network for one image.
        latency: milliseconds of a network's answer, in eager PyTorch.
    """

    batches: Sequence[tuple[Tensor, Tensor]]
    calibrator: Calibrator
    seed: int
    macs: Callable[[nn.Module], int]
    latency: Callable[[nn.Module], float]

    @property
    def sample(self) -> Tensor:
        """A batch of images, of which only shape and type matter."""
        return self.batches[0][0][:2]

    def labeled(self, why: str) -> Sequence[tuple[Tensor, Tensor]]:
        """The batches, for what needs their labels.

        Raises:
            UserError: there are none; `why` begins the sentence.
        """
        if any((labels < 0).any() for _, labels in self.batches):
            raise UserError(
                f"{why} needs labels, and no training sample has one.",
                "  take one that looks at the weights alone, or leave some labels: a smaller"
                " dataset.unlabeled",
            )
        return self.batches

    @property
    def generator(self) -> torch.Generator:
        """A new one, on the CPU, which gives the same numbers everywhere."""
        return torch.Generator().manual_seed(self.seed)
