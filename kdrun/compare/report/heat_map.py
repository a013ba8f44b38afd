"""A heat map of validation scores by two keys of a sweep."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.keys import short_key, sort_key, value_text
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.validation_scores import ValidationScores
from kdrun.compare.statistics import estimate
from kdrun.core.metrics import Metric


class _CellMean(NamedTuple):
    """The mean validation score of the settings in one cell.

    Attributes:
        score: in the unit of tables; None if no setting of the cell has a score.
        settings: number of settings of the cell that have a score.
        chosen: whether validation chose a setting of this cell.
    """

    score: float | None
    settings: int
    chosen: bool


def heat_map(scores: ValidationScores) -> Figure | None:
    """Draw mean scores by the two keys with the most values; None if no setting has a score."""
    table = scores.table
    values = {key: _values(table, key) for key in table.differing}
    keys = sorted(values, key=lambda key: -len(values[key]))[:2]
    if not keys or all(mean is None for mean in scores.means):
        return None
    column_key, row_key = keys[0], (keys[1] if len(keys) > 1 else None)
    rows, columns = values[row_key] if row_key else [""], values[column_key]
    means = {
        (row, column): _mean(
            scores, {row_key: row, column_key: column} if row_key else {column_key: column}
        )
        for row, column in product(rows, columns)
    }
    cell_scores = [mean.score for mean in means.values() if mean.score is not None]
    if not cell_scores:
        return None
    ends, metric = (min(cell_scores), max(cell_scores)), scores.metric
    cells = [[_cell(means[row, column], *ends, metric) for column in columns] for row in rows]
    word, sign = metric.word or metric.label, metric.unit.sign.strip()
    note = f"Mean validation {word} of {scores.model_names}, {sign}; the test split is not used."
    if len(table.differing) > len(keys):
        others = ", ".join(short_key(key) for key in table.differing if key not in keys)
        note += f" Averaged over {others}."
    if table.choice and table.choice.setting:
        note += " The frame marks the setting that validation chose."
    title = f"Validation {word} by {' and '.join(short_key(key) for key in reversed(keys))}"
    row_side = Side(short_key(row_key) if row_key else "", rows)
    column_side = Side(short_key(column_key), columns)
    return matrix_chart("validation-heat", title, row_side, column_side, cells, note)


def _values(table: ComparisonTable, key: str) -> list[str]:
    """Return the different values of a key, sorted, as text."""
    values = [setting.values.get(key, "-") for setting in table.settings]
    return list(dict.fromkeys(value_text(value) for value in sorted(values, key=sort_key)))


def _mean(scores: ValidationScores, values: Mapping[str, str]) -> _CellMean:
    """Average the settings that have the given values (key -> value) over their scores."""
    table = scores.table
    matching = [
        index
        for index, setting in enumerate(table.settings)
        if all(value_text(setting.values.get(key, "-")) == value for key, value in values.items())
    ]
    means = [mean for index in matching if (mean := scores.means[index]) is not None]
    choice = table.choice.setting if table.choice else None
    chosen = any(table.settings[index] is choice for index in matching)
    score = estimate(means).mean if means else None
    return _CellMean(score, len(means), chosen)


def _cell(mean: _CellMean, lowest: float, highest: float, metric: Metric) -> Cell | None:
    """Return a cell that is darker for a better score; None if the cell has no score."""
    if mean.score is None:
        return None
    span = highest - lowest
    merit = mean.score - lowest if metric.better != "less" else highest - mean.score
    shade = 0.08 + 0.92 * merit / span if span > 0 else 0.5
    suffix = f", mean of {mean.settings} settings" if mean.settings > 1 else ""
    tooltip = f"{mean.score:.3f}{metric.unit.sign}{suffix}"
    return Cell(shade, f"{mean.score:.{metric.unit.decimals}f}", tooltip, framed=mean.chosen)
