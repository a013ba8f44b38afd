"""A heat map of validation accuracy by two keys of a sweep."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.keys import short_key, sort_key, value_text
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.validation_scores import ValidationScores
from kdrun.compare.statistics import estimate


class _Mean(NamedTuple):
    """The mean accuracy, in %, of the settings that share a cell.

    Attributes:
        value: None if no setting has one.
        settings: how many have one.
        chosen: whether validation chose one of them.
    """

    value: float | None
    settings: int
    chosen: bool


def heat_map(scores: ValidationScores) -> Figure | None:
    """The two keys with the most values against each other, averaged over other keys."""
    family = scores.family
    values = {key: _values(family, key) for key in family.differing}
    keys = sorted(values, key=lambda key: -len(values[key]))[:2]
    if not keys or all(mean is None for mean in scores.means):
        return None
    across, down = keys[0], (keys[1] if len(keys) > 1 else None)
    rows, columns = values[down] if down else [""], values[across]
    means = {
        (row, column): _mean(scores, {down: row, across: column} if down else {across: column})
        for row, column in product(rows, columns)
    }
    known = [mean.value for mean in means.values() if mean.value is not None]
    if not known:
        return None
    cells = [
        [_cell(means[row, column], min(known), max(known)) for column in columns] for row in rows
    ]
    note = (
        f"Mean validation accuracy of {scores.models}, %; nothing here comes from the test split."
    )
    if len(family.differing) > len(keys):
        others = ", ".join(short_key(key) for key in family.differing if key not in keys)
        note += f" Averaged over {others}."
    if family.choice and family.choice.setting:
        note += " Framed: the setting that validation chose."
    title = f"Validation accuracy by {' and '.join(short_key(key) for key in reversed(keys))}"
    sides = (Side(short_key(down) if down else "", rows), Side(short_key(across), columns))
    return matrix_chart("validation-heat", title, *sides, cells, note)


def _values(family: ComparisonTable, key: str) -> list[str]:
    """The values of a key in their order, as they are typed."""
    values = [setting.values.get(key, "-") for setting in family.settings]
    return list(dict.fromkeys(value_text(value) for value in sorted(values, key=sort_key)))


def _mean(scores: ValidationScores, values: Mapping[str, str]) -> _Mean:
    """The mean of the settings that have these values."""
    family = scores.family
    inside = [
        index
        for index, setting in enumerate(family.settings)
        if all(value_text(setting.values.get(key, "-")) == value for key, value in values.items())
    ]
    known = [mean for index in inside if (mean := scores.means[index]) is not None]
    choice = family.choice.setting if family.choice else None
    chosen = any(family.settings[index] is choice for index in inside)
    return _Mean(estimate(known).mean if known else None, len(known), chosen)


def _cell(mean: _Mean, lowest: float, highest: float) -> Cell | None:
    if mean.value is None:
        return None
    span = highest - lowest
    shade = 0.08 + 0.92 * (mean.value - lowest) / span if span > 0 else 0.5
    of = f", mean of {mean.settings} settings" if mean.settings > 1 else ""
    return Cell(shade, f"{mean.value:.2f}", f"{mean.value:.3f} %{of}", mean.chosen)
