"""Collecting a network's predictions and computing its scores."""

import numpy as np
import torch
from torch import Tensor

from kdrun.core.named_part import part_of
from kdrun.measure.scores import Samples
from kdrun.task.classification import CLASSIFICATION

# Name of a metric -> score; with the key `n`, the number of samples.
Scores = dict[str, float]


def agreement(predicted: np.ndarray, teacher_predicted: np.ndarray) -> float:
    """Return the share of samples for which two models predict the same class, right or wrong."""
    return float(np.mean(predicted == teacher_predicted))


class Meter:
    """Collects a network's predictions batch by batch, without waiting for the device.

    Args:
        num_classes: C, the number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self._batches: list[Tensor] = []

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: logits (N, C) of any float type, targets (N,) int64."""
        if logits.device.type == "mps":  # which has no float64
            logits, targets = logits.cpu(), targets.cpu()
        logits = logits.detach().double()
        log_probabilities = logits.log_softmax(1)
        nll = log_probabilities.gather(1, targets[:, None]).squeeze(1).abs()  # never -0.0
        confidence = log_probabilities.amax(1).exp()
        columns = [targets, logits.argmax(1), _rank(logits, targets), nll, confidence]
        self._batches.append(torch.stack([column.double() for column in columns]))

    def restore_order(self, index: Tensor) -> None:
        """Bring the predictions so far into the order of a split.

        Args:
            index: (N,) the position in the split of each prediction.
        """
        self._batches = [torch.cat(self._batches, dim=1)[:, index.argsort()]]

    def compute(self) -> Scores:
        """Return the scores of all predictions so far.

        Raises:
            ValueError: no batch was added.
        """
        samples = self.predictions()
        scores: Scores = {"n": len(samples.target)}
        for name, metric in CLASSIFICATION.scores.items():
            scores[name] = part_of(metric.compute)(samples)
        return scores

    def predictions(self) -> Samples:
        """Return the predictions so far, in the order in which they were added.

        Raises:
            ValueError: no batch was added.
        """
        if not self._batches:
            raise ValueError("nothing was measured")
        columns = torch.cat(self._batches, dim=1).cpu().numpy()
        target, predicted, rank = columns[:3].astype(np.int64)
        return Samples(self.num_classes, target, predicted, rank, columns[3], columns[4])


def _rank(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the number of classes that rank before the target.

    Of equal logits, the class with the lower index ranks first. NaN ranks before all numbers.
    """
    target_logits = logits.gather(1, targets[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    wins_tie = (logits == target_logits) & (classes < targets[:, None])
    return (~(logits <= target_logits) | wins_tie).sum(1)
