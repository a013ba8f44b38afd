"""What validation says of each setting: the heat map of two keys, and the curves."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from statistics import fmean

from kdrun.compare.choice import chooser
from kdrun.compare.comparison import Family
from kdrun.compare.keys import rank, said, short
from kdrun.compare.lines import Line
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.learning import points_of
from kdrun.compare.report.line import Curve, line_chart
from kdrun.compare.report.matrix import Cell, Side, matrix_chart
from kdrun.compare.report.record import Record
from kdrun.compare.statistics import estimate
from kdrun.core.folder import RunFolder

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
    return points_of(record.lines, own[-1], "validation", "accuracy", 100) if own else []


def heat_map(validated: Validated) -> Figure | None:
    """Two keys against each other; of more, those with the most values, others averaged."""
    family = validated.family
    choices = {key: _choices(family, key) for key in family.differing}
    keys = sorted(choices, key=lambda key: -len(choices[key]))[:2]
    if not keys or all(value is None for value in validated.accuracy):
        return None
    across, down = keys[0], (keys[1] if len(keys) > 1 else None)
    rows = choices[down] if down else [""]
    found = {
        (row, column): _of(validated, {down: row, across: column} if down else {across: column})
        for row, column in product(rows, choices[across])
    }
    known = [value for value, *_ in found.values() if value is not None]
    if not known:
        return None
    best, least = max(known), min(known)
    cells = [
        [_cell(*found[row, column], best, least) for column in choices[across]] for row in rows
    ]
    sides = (
        Side(short(down) if down else "", rows),
        Side(short(across), choices[across]),
    )
    note = (
        f"Mean validation accuracy of {validated.model}, %; nothing here comes from the test split."
    )
    if len(family.differing) > len(keys):
        others = ", ".join(short(key) for key in family.differing if key not in keys)
        note += f" Averaged over {others}."
    if family.choice and family.choice.setting:
        note += " Framed: the setting that validation chose."
    title = f"Validation accuracy by {' and '.join(short(key) for key in reversed(keys))}"
    return matrix_chart("validation-heat", title, *sides, cells, note)


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


def _choices(family: Family, key: str) -> list[str]:
    values = [one.values.get(key, "-") for one in family.settings]
    return list(dict.fromkeys(said(value) for value in sorted(values, key=rank)))


def _of(validated: Validated, wanted: Mapping[str | None, str]) -> tuple[float | None, int, bool]:
    """The mean of the settings with these values, how many they are, whether one is chosen."""
    family = validated.family
    inside = [
        at
        for at, setting in enumerate(family.settings)
        if all(said(setting.values.get(str(key), "-")) == value for key, value in wanted.items())
    ]
    known = [value for at in inside if (value := validated.accuracy[at]) is not None]
    pick = family.choice.setting if family.choice else None
    framed = any(family.settings[at] is pick for at in inside)
    return (estimate(known).mean if known else None), len(known), framed


def _cell(
    value: float | None, settings: int, framed: bool, best: float, least: float
) -> Cell | None:
    if value is None:
        return None
    shade = 0.08 + 0.92 * (value - least) / (best - least) if best > least else 0.5
    of = f", mean of {settings} settings" if settings > 1 else ""
    return Cell(shade, f"{value:.2f}", f"{value:.3f} %{of}", framed)
