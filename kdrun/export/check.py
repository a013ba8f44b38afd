"""Whether a written file answers as the network that it was made of, in the runtime it is for.

Shapes: B images in a batch (B, C, H, W), logits (N, K).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.config import ExportTolerance
from kdrun.dataset.data import Split
from kdrun.export.trace import Images
from kdrun.measure.mode import evaluating

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Loaded:
    """An exported file in the runtime that it is for.

    Attributes:
        answer: images (B, C, H, W) in host memory -> logits (N, K).
        runtime: its name and version.
        facts: what else is worth a record: the opset, versions of what wrote it.
    """

    answer: Answer
    runtime: str
    facts: dict[str, Any] = field(default_factory=dict)


class Comparison:
    """Collects a file's answers beside PyTorch's, batch by batch."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []

    def update(self, own: Tensor, pytorch: Tensor, targets: Tensor) -> None:
        """Take one batch: two times logits (N, K), and targets (N,)."""
        own, pytorch = own.double(), pytorch.double()
        decided, expected = own.argmax(1), pytorch.argmax(1)
        columns = [
            decided == targets,
            expected == targets,
            decided == expected,
            (own - pytorch).abs().amax(1),
            pytorch.abs().amax(1),
        ]
        self._batches.append(torch.stack([column.double() for column in columns]))

    def figures(self) -> dict[str, Any]:
        """What a record says of the check; shares lie in 0..1, differences are of logits."""
        right, expected, equal, difference, size = torch.cat(self._batches, dim=1)
        largest, scale = difference.max().item(), size.max().item()
        return {
            "samples": len(right),
            "accuracy": right.mean().item(),
            "accuracy_in_pytorch": expected.mean().item(),
            "accuracy_difference": (right.sum() - expected.sum()).item() / len(right),
            "largest_difference": largest,
            "largest_logit": scale,
            "relative_difference": largest / scale if scale else largest,
            "equal_decisions": equal.mean().item(),
        }


@torch.inference_mode()
def compare(
    files: Mapping[str, Loaded],
    network: nn.Module,
    split: Split,
    images: Images,
    batch_size: int,
    meanwhile: Callable[[], None],
) -> dict[str, dict[str, Any]]:
    """Each file's figures on a whole split, on the CPU in float32, beside the network's there.

    Args:
        files: by name.
        network: takes normalized images, as the split hands them out.
        split: its images, not augmented.
        images: whether the files normalize by themselves; they are then given pixels in 0..1.
        batch_size: images at a time.
        meanwhile: called before each batch.
    """
    found = {name: Comparison() for name in files}
    with evaluating(network):
        for batch in split.batches(batch_size):
            meanwhile()
            assert isinstance(batch.inputs, Tensor)
            inputs, targets = batch.inputs.cpu(), batch.targets.cpu()
            expected = network(inputs)
            given = as_pixels(inputs, images) if images.normalize else inputs
            for name, file in files.items():
                found[name].update(file.answer(given), expected, targets)
    return {name: one.figures() for name, one in found.items()}


def as_pixels(inputs: Tensor, images: Images) -> Tensor:
    """Normalized images as the numbers in 0..1 that they were made of, up to rounding."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (images.mean, images.std))
    return inputs * std + mean


def fault_of(
    figures: Mapping[str, Any], quantized: bool, allowed: ExportTolerance
) -> tuple[str, str] | None:
    """How a file's answers differ by more than is allowed, and the key that allows it.

    Networks of float arithmetic are held to their logits. A runtime rounds a quantized one's
    otherwise where two levels are equally near, so it is held to its accuracy.
    """
    if quantized:
        found, most, key = abs(figures["accuracy_difference"]), allowed.accuracy, "accuracy"
        told = f"its test accuracy differs by {100 * found:.2f} points"
        limit = f"{100 * most:.2f} are allowed"
    else:
        found, most, key = figures["relative_difference"], allowed.logits, "logits"
        told = f"its logits differ by up to {found:.1e} of the largest"
        limit = f"{most:.1e} is allowed"
    if found <= most:  # which nothing is that is not a number
        return None
    return f"{told}, and {limit}", key
