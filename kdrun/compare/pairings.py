"""The pairs of models that a comparison tests: against the control, the choice or a baseline."""

from collections.abc import Iterable, Sequence

from kdrun.compare.choice import Choice
from kdrun.compare.query import KeyValues, Query, has_values
from kdrun.compare.seed_means import TableLine, runs_with_model
from kdrun.compare.settings import Setting
from kdrun.compare.significance import ComparedModel, compare_models
from kdrun.compare.test_results import SignificanceTest, correct_for_all
from kdrun.core.number_format import many

CONTROL = "alone"

_Judged = Sequence[tuple[Setting, TableLine]]  # each with the line of its judged model


def run_tests(
    settings: Sequence[Setting],
    judged: Sequence[TableLine],
    lines: Sequence[TableLine],
    metric: str,
    choice: Choice | None,
    query: Query,
) -> list[SignificanceTest]:
    """Run the tests that the query asks for, each kind corrected for how many there are.

    Models that several settings share are tested once.

    Args:
        settings: of the table.
        judged: the line of each setting's judged model.
        lines: of the table.
        metric: the name of the metric that is compared.
        choice: of a setting, on validation.
        query: what the user asks for.
    """
    pairs = list(zip(settings, judged, strict=True))
    row = query.versus or CONTROL
    about = "baseline" if query.versus else "control"
    over = [] if query.baseline else _against_row(row, pairs, lines, query.model)
    found = [compare_models(own, other, metric, about) for own, other in over]
    return [
        *correct_for_all(found),
        *correct_for_all(_between_settings(pairs, metric, choice, query)),
    ]


def _against_row(
    row: str, pairs: _Judged, lines: Sequence[TableLine], named: str
) -> Iterable[tuple[ComparedModel, ComparedModel]]:
    """Yield judged models with the given row of the same settings, each pair once."""
    place = {id(one): line for line in lines if line.model == row for one in line.settings}
    found: dict[tuple[int, int], list[Setting]] = {}
    models = {id(line): line.model for _, line in pairs}
    for setting, line in pairs:
        if line.model != row and id(setting) in place:
            found.setdefault((id(line), id(place[id(setting)])), []).append(setting)
    for (own, _), owners in found.items():
        label = _label(models[own], owners, len(pairs), named)
        yield _side(label, models[own], owners), _side(row, row, owners)


def _between_settings(
    pairs: _Judged, metric: str, choice: Choice | None, query: Query
) -> list[SignificanceTest]:
    """Test settings against the query's baseline, else the chosen setting against the others."""
    judged = {id(line): line for _, line in pairs}
    sides = {
        at: _side(
            _label(line.model, line.settings, len(pairs), query.model), line.model, line.settings
        )
        for at, line in judged.items()
    }
    if query.baseline:
        baselines = {
            (id(line), id(baseline)): None
            for setting, line in pairs
            if (baseline := _baseline(setting, pairs, query.baseline)) and baseline is not line
        }
        return [
            compare_models(sides[line], sides[baseline], metric, "baseline")
            for line, baseline in baselines
        ]
    if query.versus or choice is None:
        return []
    if choice.setting is not None:
        chosen = next(id(line) for setting, line in pairs if setting is choice.setting)
        others = [line for line in sides if line != chosen]
        return [compare_models(sides[chosen], sides[other], metric, "chosen") for other in others]
    if len(sides) != 2:
        return []
    left, right = sides.values()
    return [compare_models(left, right, metric, "pair")]


def _side(label: str, model: str, settings: Sequence[Setting]) -> ComparedModel:
    return ComparedModel(label, model, runs_with_model(model, settings))


def _label(model: str, settings: Sequence[Setting], among: int, named: str) -> str:
    """Return the label of a model: its settings, with its row if the query names one."""
    more = len(settings) - 1
    if not settings[0].label or (more and len(settings) == among):
        return model
    whose = settings[0].label + (f" and {many(more, 'other')}" if more else "")
    return f"{named} of {whose}" if named else whose


def _baseline(setting: Setting, pairs: _Judged, wanted: KeyValues) -> TableLine | None:
    """Return the line of a setting's baseline: the one that agrees with it in all other keys.

    A single baseline is that of all settings; a baseline itself has none.
    """
    if has_values(setting.config, wanted):
        return None
    found = [(one, line) for one, line in pairs if has_values(one.config, wanted)]
    if len(found) == 1:
        return found[0][1]
    rest = [key for key in setting.values if key not in wanted]
    alike = [
        line
        for one, line in found
        if all(one.values.get(key) == setting.values[key] for key in rest)
    ]
    return alike[0] if len(alike) == 1 else None
