"""Comparing the predictions that two runs stored for the same test samples."""

from typing import NamedTuple

import numpy as np

from kdrun.compare.gather import Run
from kdrun.compare.stored_arrays import read_arrays
from kdrun.core.errors import DamagedFile


class NotPaired(Exception):
    """Raised if two runs' predictions can't be paired; the message is the end of a sentence."""


class SamplePredictions(NamedTuple):
    """A model's predictions for the test samples.

    Attributes:
        ids: (n,) int64, the positions of the samples in the test split.
        target: (n,) int64, the classes of the samples.
        correct: (n,) bool, whether the model predicts the class.
    """

    ids: np.ndarray
    target: np.ndarray
    correct: np.ndarray


def read_predictions(run: Run, model: str) -> SamplePredictions:
    """Read a model's predictions from the folder of its run.

    Raises:
        NotPaired: the predictions are missing, or can't be read.
    """
    try:
        run.folder.check_files(run.folder.manifest(), run.folder.predictions)
        stored = read_arrays(run.folder.predictions)
        index, target = stored["index"], stored["target"]
        predicted = stored[f"{model}/predicted"]
    except (DamagedFile, KeyError) as error:
        raise NotPaired(f"the predictions of {str(run.path)!r} can't be read") from error
    if not index.shape == target.shape == predicted.shape:
        raise NotPaired(f"the predictions of {str(run.path)!r} are not one for each sample")
    return SamplePredictions(index, target, predicted == target)


def paired_differences(left: tuple[Run, str], right: tuple[Run, str]) -> np.ndarray:
    """Return (n,) for each sample 1 if only the left model is correct, -1 if only the right one is.

    Args:
        left: a run, and the name of a model's row.
        right: the other run and row.

    Raises:
        NotPaired: the models were not tested on the same samples, or predictions are missing.
    """
    left_predictions, right_predictions = read_predictions(*left), read_predictions(*right)
    same_samples = np.array_equal(left_predictions.ids, right_predictions.ids)
    if not (same_samples and np.array_equal(left_predictions.target, right_predictions.target)):
        raise NotPaired("their test samples are not the same")
    left_correct, right_correct = left_predictions.correct, right_predictions.correct
    return left_correct.astype(np.int64) - right_correct.astype(np.int64)
