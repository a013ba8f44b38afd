"""Validation accuracy by two keys of a sweep."""

from collections.abc import Mapping
from itertools import product

from kdrun.compare.comparison import Family
from kdrun.compare.keys import rank, said, short
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.validation_scores import Validated
from kdrun.compare.statistics import estimate


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
