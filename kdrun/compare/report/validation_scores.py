"""The validation scores of a table's settings: their means, their ranks, their curves."""

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean

from kdrun.compare.choice import choosing_metric
from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.learning_curves import Points, curve_points
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.folder import RunFolder
from kdrun.core.metrics import leading


class ValidationScores:
    """How good each setting of a table is on validation, in %.

    Args:
        family: the table.
    """

    def __init__(self, family: ComparisonTable) -> None:
        self.family = family

    @cached_property
    def curves(self) -> list[dict[int, Points]]:
        """Of each setting: seed -> (epoch, %) of the model that the setting is judged by."""
        return [
            {seed: _curve(run.folder, line.model) for seed, run in setting.runs.items()}
            for setting, line in zip(self.family.settings, self.family.judged, strict=True)
        ]

    @cached_property
    def means(self) -> list[float | None]:
        """Of each setting: the mean over its seeds of the weights that were tested.

        Runs of an older kdrun have no such score; theirs is the one after the last epoch.
        """
        return [self._mean(index) for index in range(len(self.family.settings))]

    @cached_property
    def ranks(self) -> list[int]:
        """Of each setting: 0 for the best on validation, 1 for the next, and so on."""
        known = [-1.0 if mean is None else mean for mean in self.means]
        order = sorted(range(len(known)), key=lambda index: -known[index])
        return [order.index(index) for index in range(len(known))]

    @property
    def models(self) -> str:
        """The models that settings are judged by."""
        return ", ".join(dict.fromkeys(line.model for line in self.family.judged))

    def _mean(self, index: int) -> float | None:
        line = self.family.judged[index]
        metric = choosing_metric(self.family.metric, self.family.judged)
        if metric in line.estimates:
            return 100 * line.estimates[metric].mean
        last = [points[-1][1] for points in self.curves[index].values() if points]
        return fmean(last) if last else None


def _curve(folder: RunFolder, model: str) -> Points:
    """The curve of the stage that trained a model, or of the last one if none trained it."""
    record = RunRecord(folder)
    rows = record.trained_stages
    stages = [stage for stage, row in rows.items() if row == model] or list(rows)
    if not stages:
        return []
    return curve_points(record.measurements, stages[-1], "validation", leading().name, 100)


def curves_figure(
    scores: ValidationScores, names: Sequence[str], colors: Sequence[int]
) -> Figure | None:
    """Validation accuracy over epochs: the mean of each setting's seeds, and their range.

    Args:
        scores: of a table's settings.
        names: of the settings.
        colors: of the settings.
    """
    curves = [
        _mean_curve(names[index], list(seeds.values()), colors[index])
        for index, seeds in enumerate(scores.curves)
        if any(seeds.values())
    ]
    if not curves:
        return None
    curves.sort(key=lambda curve: curve.color)
    banded = any(curve.band for curve in curves)
    note = "Mean over the seeds; bands: from the least to the greatest." if banded else ""
    labels = ("epoch", "validation accuracy, %")
    return line_chart("settings-curves", f"{scores.models} on validation", curves, labels, note)


def _mean_curve(name: str, seeds: Sequence[Points], color: int) -> Curve:
    values: dict[float, list[float]] = {}
    for points in seeds:
        for epoch, value in points:
            values.setdefault(epoch, []).append(value)
    epochs = sorted(values)
    means = [(epoch, fmean(values[epoch])) for epoch in epochs]
    band = [(epoch, min(values[epoch]), max(values[epoch])) for epoch in epochs]
    several = sum(bool(points) for points in seeds) > 1
    return Curve(name, means, color, band=band if several else ())
