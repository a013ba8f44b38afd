"""The predictions of two runs' models for the same test samples."""

import zlib
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from kdrun.compare.gather import Run


class NotPaired(Exception):
    """Why two runs' predictions can't be paired, as the end of a sentence."""


class SamplePredictions(NamedTuple):
    """A model's predictions for the test samples.

    Attributes:
        ids: (n,) int64 positions in the set.
        target: (n,) int64 classes.
        correct: (n,) bool.
    """

    ids: np.ndarray
    target: np.ndarray
    correct: np.ndarray


def read_predictions(run: Run, model: str) -> SamplePredictions:
    """Read a model's predictions.

    Raises:
        NotPaired: they are missing, or can't be read.
    """
    try:
        # Opened here: numpy leaves a file open that it can't read.
        with run.folder.predictions.open("rb") as file, np.load(file) as stored:
            index, target = stored["index"], stored["target"]
            predicted = stored[f"{model}/predicted"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise NotPaired(f"the answers of {str(run.path)!r} can't be read") from error
    if not index.shape == target.shape == predicted.shape:
        raise NotPaired(f"the answers of {str(run.path)!r} are not one a sample")
    return SamplePredictions(index, target, predicted == target)


def paired_differences(left: tuple[Run, str], right: tuple[Run, str]) -> np.ndarray:
    """Return (n,) for each sample 1 if only the left model is correct, -1 if only the right one is.

    Args:
        left: a run and the name of a row.
        right: another run and row.

    Raises:
        NotPaired: they were not tested on the same samples, or predictions are missing.
    """
    first, second = read_predictions(*left), read_predictions(*right)
    same_samples = np.array_equal(first.ids, second.ids)
    if not (same_samples and np.array_equal(first.target, second.target)):
        raise NotPaired("their test samples are not the same")
    return first.correct.astype(np.int64) - second.correct.astype(np.int64)
