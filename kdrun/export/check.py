"""Compares the logits of an exported file, in its runtime, with those of the network.

Shapes: B samples in a batch, logits (B, K) for K classes.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdrun.core.config import ExportTolerance
from kdrun.core.inputs.types import CPU, to_device
from kdrun.core.mode import evaluating
from kdrun.dataset.data import Split
from kdrun.export.format import LoadedFile
from kdrun.export.input_spec import InputSpec


class ToleranceFault(NamedTuple):
    """A difference between a file and its network that is larger than the tolerance.

    Attributes:
        message: the difference and the limit, as a clause of a sentence.
        key: the key of `export_options.tolerance` that sets the limit.
    """

    message: str
    key: str


class Comparison:
    """Collects the logits of a file and of PyTorch, batch by batch."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []

    def update(self, exported: Tensor, pytorch: Tensor, targets: Tensor) -> None:
        """Add one batch.

        Args:
            exported: logits (B, K) of the file.
            pytorch: logits (B, K) of the network in PyTorch.
            targets: labels (B,).
        """
        exported, pytorch = exported.double(), pytorch.double()
        decision, expected = exported.argmax(1), pytorch.argmax(1)
        columns = [
            decision == targets,
            expected == targets,
            decision == expected,
            (exported - pytorch).abs().amax(1),
            pytorch.abs().amax(1),
        ]
        self._batches.append(torch.stack([column.double() for column in columns]))

    def figures(self) -> dict[str, Any]:
        """Return the entries of a file's record: shares in 0..1, and differences of logits."""
        correct, pytorch_correct, equal, difference, magnitude = torch.cat(self._batches, dim=1)
        largest, scale = difference.max().item(), magnitude.max().item()
        return {
            "samples": len(correct),
            "accuracy": correct.mean().item(),
            "accuracy_in_pytorch": pytorch_correct.mean().item(),
            "accuracy_difference": (correct.sum() - pytorch_correct.sum()).item() / len(correct),
            "largest_difference": largest,
            "largest_logit": scale,
            "relative_difference": largest / scale if scale else largest,
            "equal_decisions": equal.mean().item(),
        }


@torch.inference_mode()
def compare(
    files: Mapping[str, LoadedFile],
    network: nn.Module,
    split: Split,
    inputs: InputSpec,
    batch_size: int,
    before_batch: Callable[[], None],
) -> dict[str, dict[str, Any]]:
    """Run files and network on a split, on the CPU in float32.

    Args:
        files: the exported files by name.
        network: the network in PyTorch.
        split: yields inputs without augmentation.
        inputs: what the files take.
        batch_size: samples in a batch.
        before_batch: called before each batch; it may raise to stop.

    Returns:
        The `Comparison.figures` of each file.
    """
    comparisons = {name: Comparison() for name in files}
    with evaluating(network):
        for batch in split.batches(batch_size):
            before_batch()
            expected = network(to_device(batch.inputs, CPU))
            tensors = inputs.arguments(to_device(batch.inputs, CPU))
            for name, file in files.items():
                comparisons[name].update(file.forward(*tensors), expected, batch.targets.cpu())
    return {name: comparison.figures() for name, comparison in comparisons.items()}


def tolerance_fault(
    figures: Mapping[str, Any], quantized: bool, tolerance: ExportTolerance
) -> ToleranceFault | None:
    """Return the difference that exceeds the tolerance; None if none does.

    The logits of a network in float are compared. For a quantized network accuracies are compared,
    because runtimes round differently where a value lies halfway between two levels.
    """
    if quantized:
        actual, limit, key = abs(figures["accuracy_difference"]), tolerance.accuracy, "accuracy"
        difference = f"its test accuracy differs by {100 * actual:.2f} points"
        allowed = f"{100 * limit:.2f} are allowed"
    else:
        actual, limit, key = figures["relative_difference"], tolerance.logits, "logits"
        difference = f"its logits differ by up to {actual:.1e} of the largest"
        allowed = f"{limit:.1e} is allowed"
    if actual <= limit:  # NaN fails this test
        return None
    return ToleranceFault(f"{difference}, and {allowed}", key)
