"""sensitivity.json: what compressing one layer at a time costs."""

from typing import TypedDict


class Sensitivity(TypedDict, total=False):
    """The results of `kdrun sensitivity`.

    Keys:
        row: the row of the results table.
        accuracy: the accuracy of its network on validation, in 0..1.
        losses: layer -> way to compress it -> change of accuracy in percentage points.
    """

    row: str
    accuracy: float
    losses: dict[str, dict[str, float]]
