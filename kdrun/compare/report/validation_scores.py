"""Validation scores of the settings in a table: means, ranks and curves over epochs."""

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean

from kdrun.compare.choice import choosing_metric
from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.metrics import LAST, leading_at
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.learning_curves import Points, curve_points
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.folder import RunFolder
from kdrun.core.metrics import Metric


class ValidationScores:
    """Validation scores of each setting, in the unit of tables, in the order of the settings.

    Each setting is judged by one model, such as the distilled student.

    Args:
        table: the table of settings.
    """

    def __init__(self, table: ComparisonTable) -> None:
        self.table = table
        self.metric: Metric = leading_at(table.metrics, LAST).metric

    @cached_property
    def curves(self) -> list[dict[int, Points]]:
        """For each setting: seed -> (epoch, score) points of the setting's judged model."""
        return [
            {
                seed: _curve(run.folder, line.model, self.metric)
                for seed, run in setting.runs.items()
            }
            for setting, line in zip(self.table.settings, self.table.judged, strict=True)
        ]

    @cached_property
    def means(self) -> list[float | None]:
        """For each setting: the score of the tested weights, averaged over the seeds.

        Runs of an older kdrun did not save this score; their score after the last epoch is used.
        """
        return [self._mean(index) for index in range(len(self.table.settings))]

    @cached_property
    def ranks(self) -> list[int]:
        """For each setting: its rank on validation, from 0 for the best setting."""
        merits = [float("-inf") if mean is None else self.metric.sign * mean for mean in self.means]
        order = sorted(range(len(merits)), key=lambda index: -merits[index])
        return [order.index(index) for index in range(len(merits))]

    @property
    def model_names(self) -> str:
        """The names of the judged models, joined by commas."""
        return ", ".join(dict.fromkeys(line.model for line in self.table.judged))

    def _mean(self, index: int) -> float | None:
        line = self.table.judged[index]
        metric = choosing_metric(self.table.metric, self.table.judged)
        if metric in line.estimates:
            return self.metric.unit.factor * line.estimates[metric].mean
        last_scores = [points[-1][1] for points in self.curves[index].values() if points]
        return fmean(last_scores) if last_scores else None


def _curve(folder: RunFolder, model: str, metric: Metric) -> Points:
    """Return the curve of the stage that trained a model, else of the last trained stage."""
    record = RunRecord(folder)
    rows = record.trained_stages
    stages = [stage for stage, row in rows.items() if row == model] or list(rows)
    if not stages:
        return []
    factor = metric.unit.factor
    return curve_points(record.measurements, stages[-1], "validation", metric.name, factor)


def curves_figure(
    scores: ValidationScores, names: Sequence[str], colors: Sequence[int]
) -> Figure | None:
    """Draw the validation scores of each setting: mean and range over its seeds.

    Args:
        scores: scores of the settings of a table.
        names: names of the settings.
        colors: color numbers of the settings.
    """
    curves = [
        _mean_curve(names[index], list(seeds.values()), colors[index])
        for index, seeds in enumerate(scores.curves)
        if any(seeds.values())
    ]
    if not curves:
        return None
    curves.sort(key=lambda curve: curve.color)
    has_bands = any(curve.band for curve in curves)
    note = "Curve: mean over the seeds; band: lowest to highest seed." if has_bands else ""
    labels = ("epoch", scores.metric.axis("validation"))
    return line_chart(
        "settings-curves", f"{scores.model_names} on validation", curves, labels, note
    )


def _mean_curve(name: str, seeds: Sequence[Points], color: int) -> Curve:
    values: dict[float, list[float]] = {}
    for points in seeds:
        for epoch, value in points:
            values.setdefault(epoch, []).append(value)
    epochs = sorted(values)
    means = [(epoch, fmean(values[epoch])) for epoch in epochs]
    band = [(epoch, min(values[epoch]), max(values[epoch])) for epoch in epochs]
    several_seeds = sum(bool(points) for points in seeds) > 1
    return Curve(name, means, color, band=band if several_seeds else ())
