"""What validation says of each setting: the heat map of two keys, and the curves."""

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean

from kdrun.compare.choice import chooser
from kdrun.compare.comparison import Family
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.learning_curves import points_of
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.run_record import Record
from kdrun.compare.seed_means import Line
from kdrun.core.folder import RunFolder
from kdrun.core.metrics import leading

Points = list[tuple[float, float]]


class Validated:
    """A table's settings with their accuracy on validation.

    Args:
        family: the table.
    """

    def __init__(self, family: Family) -> None:
        self.family = family

    @cached_property
    def curves(self) -> list[dict[int, Points]]:
        """Of each setting: seed -> (epoch, %) of the model that settings are judged by."""
        return [
            {seed: _curve(run.folder, line.model) for seed, run in setting.runs.items()}
            for setting, line in zip(self.family.settings, self.family.judged, strict=True)
        ]

    @cached_property
    def accuracy(self) -> list[float | None]:
        """Of each setting, in %: of the weights that were tested, over the seeds.

        Runs of an older kdrun don't say; theirs is what was measured after the last epoch.
        """
        return [self._accuracy(at, line) for at, line in enumerate(self.family.judged)]

    @cached_property
    def ranks(self) -> dict[int, int]:
        """Setting's number -> its place, the best on validation first."""
        known = [-1.0 if value is None else value for value in self.accuracy]
        order = sorted(range(len(known)), key=lambda at: -known[at])
        return {at: place for place, at in enumerate(order)}

    @property
    def model(self) -> str:
        """What the settings are judged by."""
        return ", ".join(dict.fromkeys(line.model for line in self.family.judged))

    def _accuracy(self, at: int, line: Line) -> float | None:
        by = chooser(self.family.metric, self.family.judged)
        if by in line.estimates:
            return 100 * line.estimates[by].mean
        ends = [points[-1][1] for points in self.curves[at].values() if points]
        return fmean(ends) if ends else None


def _curve(folder: RunFolder, model: str) -> Points:
    """Of the stage that trained a model; of the last one where it was changed without training."""
    record = Record(folder)
    stages = record.stages
    own = [stage for stage, row in stages.items() if row == model] or list(stages)
    return points_of(record.lines, own[-1], "validation", leading().name, 100) if own else []


def curves_figure(
    validated: Validated, names: Sequence[str], colors: Sequence[int]
) -> Figure | None:
    """Validation accuracy over epochs: the mean of each setting's seeds, and their range."""
    curves = [
        _mean_curve(names[at], list(seeds.values()), colors[at])
        for at, seeds in enumerate(validated.curves)
        if any(seeds.values())
    ]
    if not curves:
        return None
    curves.sort(key=lambda curve: curve.color)
    several = any(curve.band for curve in curves)
    note = "Mean over the seeds; bands: from the least to the greatest." if several else ""
    labels = ("epoch", "validation accuracy, %")
    title = f"{validated.model} on validation"
    return line_chart("settings-curves", title, curves, labels, note)


def _mean_curve(name: str, seeds: Sequence[Points], color: int) -> Curve:
    values: dict[float, list[float]] = {}
    for points in seeds:
        for x, y in points:
            values.setdefault(x, []).append(y)
    epochs = sorted(values)
    points = [(x, fmean(values[x])) for x in epochs]
    bands = [(x, min(values[x]), max(values[x])) for x in epochs]
    many = sum(bool(points) for points in seeds) > 1
    return Curve(name, points, color, band=bands if many else ())
