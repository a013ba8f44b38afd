"""How good a network's answers are: one number each, and the answers themselves.

Every figure comes from numbers that are kept per sample, in float64: how the samples were put
into batches changes none of them.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from kdrun.measure.intervals import Interval, accuracy_interval, gain_interval, half_width

__all__ = [
    "Interval",
    "Meter",
    "Predictions",
    "Scores",
    "accuracy_interval",
    "agreement",
    "gain_interval",
    "half_width",
]

_BINS = 15  # of confidence, as in Guo et al. 2017


@dataclass(frozen=True)
class Scores:
    """What one evaluation found; shares lie in [0, 1].

    Attributes:
        n: how many samples were measured.
        accuracy: share whose most probable class is the target.
        top5: share whose target is among the 5 most probable classes, or all where fewer.
        precision: mean over all classes 0..C-1; a class that was never predicted counts as 0.
        recall: mean over all classes; a class that no sample has counts as 0.
        f1: mean over all classes of 2 hits / (predicted + samples); 0 where both are 0. These
            three are scikit-learn's `average="macro", labels=range(C), zero_division=0`.
        nll: mean negative log-likelihood of the targets, in nats.
        ece: expected calibration error with 15 equal bins (Guo et al. 2017, eq. 3).
    """

    n: int
    accuracy: float
    top5: float
    precision: float
    recall: float
    f1: float
    nll: float
    ece: float

    def as_dict(self) -> dict[str, float]:
        """Name -> value, for records."""
        return asdict(self)


@dataclass(frozen=True)
class Predictions:
    """The answer to each sample, in the order of the evaluation.

    Attributes:
        target: (n,) int64 labels.
        predicted: (n,) int64, the most probable class; the lower one of equals.
        probability: (n,) float64, of the target.
        confidence: (n,) float64, probability of the predicted class.
    """

    target: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    confidence: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """(n,) bool."""
        return self.predicted == self.target


def agreement(predicted: np.ndarray, teacher_predicted: np.ndarray) -> float:
    """The share of samples for which two models name the same class, right or wrong."""
    return float(np.mean(predicted == teacher_predicted))


class Meter:
    """Collects a network's answers batch by batch; nothing waits for the device until asked.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self._batches: list[Tensor] = []

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Take one batch: logits (N, C) of any float type, targets (N,) int64."""
        if logits.device.type == "mps":  # it has no float64
            logits, targets = logits.cpu(), targets.cpu()
        logits = logits.detach().double()
        log_probabilities = logits.log_softmax(1)
        nll = log_probabilities.gather(1, targets[:, None]).squeeze(1).abs()  # never -0.0
        confidence = log_probabilities.amax(1).exp()
        columns = [targets, logits.argmax(1), _rank(logits, targets), nll, confidence]
        self._batches.append(torch.stack([column.double() for column in columns]))

    def predictions(self) -> Predictions:
        """The answers so far."""
        target, predicted, _, nll, confidence = self._columns()
        classes = (target.astype(np.int64), predicted.astype(np.int64))
        return Predictions(*classes, np.exp(-nll), confidence)

    def compute(self) -> Scores:
        """The scores of all answers so far.

        Raises:
            ValueError: there is none.
        """
        target, predicted, rank, nll, confidence = self._columns()
        correct = predicted == target
        precision, recall, f1 = self._macro(target, predicted)
        return Scores(
            n=len(target),
            accuracy=float(np.mean(correct)),
            top5=float(np.mean(rank < 5)),
            precision=precision,
            recall=recall,
            f1=f1,
            nll=float(np.mean(nll)),
            ece=_calibration_error(confidence, correct),
        )

    def _columns(self) -> np.ndarray:
        if not self._batches:
            raise ValueError("nothing was measured")
        return torch.cat(self._batches, dim=1).cpu().numpy()

    def _macro(self, target: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
        samples = self._count(target)
        answers = self._count(predicted)
        hits = self._count(target[target == predicted])
        shares = (_share(hits, answers), _share(hits, samples), _share(2 * hits, answers + samples))
        precision, recall, f1 = (float(np.mean(share)) for share in shares)
        return precision, recall, f1

    def _count(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes.astype(np.int64), minlength=self.num_classes)


def _rank(logits: Tensor, targets: Tensor) -> Tensor:
    """How many classes come before the target; equal ones by number, NaN before all."""
    own = logits.gather(1, targets[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    earlier = (logits == own) & (classes < targets[:, None])
    return (~(logits <= own) | earlier).sum(1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


def _calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """The gap between confidence and accuracy, over bins ((m - 1) / M, m / M], by their size."""
    bins = np.searchsorted(np.arange(1, _BINS) / _BINS, confidence, side="left")
    gaps = np.bincount(bins, weights=correct - confidence, minlength=_BINS)
    return float(np.sum(np.abs(gaps)) / len(confidence))
