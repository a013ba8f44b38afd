"""metrics.jsonl: one line for each measurement."""

from typing import Literal, NotRequired, TypedDict


class Measurement(TypedDict):
    """The measurements of an epoch on one split; `score_of` reads its further keys.

    On the training split these are `lr` and the means of the loss's terms, of `loss` and of
    `accuracy` over the epoch; on the validation split `n` and the scores of the table of metrics.

    Keys:
        stage: that trains.
        phase: of its loss, `main` in the end; missing in older files.
        epoch: finished epochs of the phase.
        step: finished steps of the phase.
        split: train or validation.
        nonfinite: keys whose numbers were NaN or infinite, and are null.
    """

    stage: str
    phase: NotRequired[str]
    epoch: int
    step: int
    split: Literal["train", "validation"]
    nonfinite: NotRequired[list[str]]
