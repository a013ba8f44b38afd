"""The pairs of models that a comparison tests.

Models are tested against the row `alone` of the same settings, or against the row or the settings
that the query names. The setting that validation chose is tested against the other settings.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kdrun.compare.choice import Choice
from kdrun.compare.metrics import RowMetric
from kdrun.compare.query import KeyValues, Query, has_values
from kdrun.compare.seed_means import TableLine, runs_with_model
from kdrun.compare.settings import Setting
from kdrun.compare.significance import ComparedModel, compare_models
from kdrun.compare.test_results import SignificanceTest, correct_for_all
from kdrun.core.number_format import many

CONTROL = "alone"  # the row of the student that is trained without a teacher


class _JudgedSetting(NamedTuple):
    """A setting, and the table's line of the model that the setting is judged by."""

    setting: Setting
    line: TableLine


def run_tests(
    settings: Sequence[Setting],
    judged: Sequence[TableLine],
    lines: Sequence[TableLine],
    metric: RowMetric,
    choice: Choice | None,
    query: Query,
) -> list[SignificanceTest]:
    """Run the tests that the query asks for.

    Tests against a row and tests between settings are corrected separately for their number.
    Models that several settings share are tested once.

    Args:
        settings: the settings of the table.
        judged: for each setting, the line of the model that it is judged by.
        lines: all lines of the table.
        metric: the metric that is compared.
        choice: the setting that validation chose; None if validation had nothing to choose from.
        query: what the user asks for.
    """
    judged_settings = [_JudgedSetting(*pair) for pair in zip(settings, judged, strict=True)]
    row = query.versus or CONTROL
    kind = "baseline" if query.versus else "control"
    pairs = [] if query.baseline else _pairs_with_row(row, judged_settings, lines, query.model)
    against_row = [compare_models(left, right, metric, kind) for left, right in pairs]
    between_settings = _test_between_settings(judged_settings, metric, choice, query)
    return [*correct_for_all(against_row), *correct_for_all(between_settings)]


def _pairs_with_row(
    row: str,
    judged_settings: Sequence[_JudgedSetting],
    lines: Sequence[TableLine],
    query_model: str,
) -> Iterator[tuple[ComparedModel, ComparedModel]]:
    """Yield each judged model with the model of the given row in the same settings.

    Args:
        row: the name of the row that judged models are compared with.
        judged_settings: all settings of the table.
        lines: all lines of the table.
        query_model: the row that the user judges settings by; empty if none was named.
    """
    row_lines = {
        id(setting): line for line in lines if line.model == row for setting in line.settings
    }
    settings_of_pair: dict[tuple[int, int], list[Setting]] = {}
    models = {id(line): line.model for _, line in judged_settings}
    for setting, line in judged_settings:
        if line.model != row and id(setting) in row_lines:
            pair = (id(line), id(row_lines[id(setting)]))
            settings_of_pair.setdefault(pair, []).append(setting)
    for (line_id, _), settings in settings_of_pair.items():
        model = models[line_id]
        label = _label(model, settings, len(judged_settings), query_model)
        yield _compared_model(label, model, settings), _compared_model(row, row, settings)


def _test_between_settings(
    judged_settings: Sequence[_JudgedSetting],
    metric: RowMetric,
    choice: Choice | None,
    query: Query,
) -> list[SignificanceTest]:
    """Test settings against the query's baseline, else the chosen setting against the others."""
    lines = {id(line): line for _, line in judged_settings}
    compared = {
        line_id: _compared_model(
            _label(line.model, line.settings, len(judged_settings), query.model),
            line.model,
            line.settings,
        )
        for line_id, line in lines.items()
    }
    if query.baseline:
        pairs = {
            (id(line), id(baseline)): None
            for setting, line in judged_settings
            if (baseline := _baseline_line(setting, judged_settings, query.baseline))
            and baseline is not line
        }
        return [
            compare_models(compared[line_id], compared[baseline_id], metric, "baseline")
            for line_id, baseline_id in pairs
        ]
    if query.versus or choice is None:
        return []
    if choice.setting is not None:
        chosen = next(id(line) for setting, line in judged_settings if setting is choice.setting)
        return [
            compare_models(compared[chosen], model, metric, "chosen")
            for line_id, model in compared.items()
            if line_id != chosen
        ]
    if len(compared) != 2:
        return []
    left, right = compared.values()
    return [compare_models(left, right, metric, "pair")]


def _compared_model(label: str, model: str, settings: Sequence[Setting]) -> ComparedModel:
    return ComparedModel(label, model, runs_with_model(model, settings))


def _label(
    model: str, settings: Sequence[Setting], number_of_settings: int, query_model: str
) -> str:
    """Return the label of a model in sentences: `loss.temperature=4 and 2 others`.

    Args:
        model: the name of the model's row, which is the label if all settings share the model.
        settings: the settings that share the model.
        number_of_settings: how many settings the table has.
        query_model: the row that the user judges settings by, which the label then begins with.
    """
    more = len(settings) - 1
    if not settings[0].label or (more and len(settings) == number_of_settings):
        return model
    label = settings[0].label + (f" and {many(more, 'other')}" if more else "")
    return f"{query_model} of {label}" if query_model else label


def _baseline_line(
    setting: Setting, judged_settings: Sequence[_JudgedSetting], baseline: KeyValues
) -> TableLine | None:
    """Return the line of the baseline that a setting is compared with.

    If a single setting has the values of the baseline, all others are compared with it. If several
    have them, the baseline of a setting is the one that has the same values of all other keys.

    Returns:
        None where there is no such line, and for a setting that is a baseline itself.
    """
    if has_values(setting.config, baseline):
        return None
    baselines = [
        judged for judged in judged_settings if has_values(judged.setting.config, baseline)
    ]
    if len(baselines) == 1:
        return baselines[0].line
    other_keys = [key for key in setting.values if key not in baseline]
    matching = [
        judged.line
        for judged in baselines
        if all(judged.setting.values.get(key) == setting.values[key] for key in other_keys)
    ]
    return matching[0] if len(matching) == 1 else None
