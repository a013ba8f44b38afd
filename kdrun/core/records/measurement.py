"""metrics.jsonl: one line for each measurement."""

from typing import Literal, NotRequired, TypedDict

from kdrun.core.records.check import Count


class Measurement(TypedDict):
    """The measurements of an epoch on one split.

    Further keys, which `score_of` reads, depend on the split; their values are numbers or null. On
    the training split they are `lr` and the means over the epoch of `loss`, of its terms, of
    `accuracy` and of the norm of the gradient, `grad_norm`. On the validation split they are `n`
    and the scores in `core.metrics.SCORES`.

    Keys:
        stage: the name of the stage that trains.
        phase: the phase of training; the last one is `main`; missing in older files.
        epoch: the number of finished epochs of the phase.
        step: the number of finished steps of the phase.
        split: train or validation.
        nonfinite: the keys that are null because their values were NaN or infinite.
    """

    stage: str
    phase: NotRequired[str]
    epoch: Count
    step: Count
    split: Literal["train", "validation"]
    nonfinite: NotRequired[list[str]]
