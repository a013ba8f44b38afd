"""The predictions of two runs' models for the same test samples."""

import zlib
from zipfile import BadZipFile

import numpy as np

from kdrun.compare.gather import Run


class NotPaired(Exception):
    """Why two runs' predictions can't be paired, as the end of a sentence."""


def read_predictions(run: Run, model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A model's answers.

    Returns:
        Of each test sample its index (n,) int64, its class (n,) int64, and whether the model knew
        it (n,) bool.

    Raises:
        NotPaired: they are not there, or can't be read.
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
    return index, target, predicted == target


def paired_differences(left: tuple[Run, str], right: tuple[Run, str]) -> np.ndarray:
    """Sample by sample (n,): 1 where the left model alone is right, -1 where the right one is.

    Raises:
        NotPaired: they were not tested on the same samples, or answers are missing.
    """
    (index, target, own), (other_index, other_target, other) = (
        read_predictions(*left),
        read_predictions(*right),
    )
    if not (np.array_equal(index, other_index) and np.array_equal(target, other_target)):
        raise NotPaired("their test samples are not the same")
    return own.astype(np.int64) - other.astype(np.int64)
