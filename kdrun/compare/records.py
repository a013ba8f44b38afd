"""A comparison as JSON and its tables as CSV, for other programs."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from kdrun.compare.comparison import Comparison, ComparisonTable
from kdrun.compare.keys import value_text
from kdrun.compare.seed_means import TableLine
from kdrun.compare.test_results import SignificanceTest
from kdrun.core.atomic import replace_non_finite

_FORMAT = 1  # the number of the JSON format; raised when the meaning of a key changes


def as_json(comparison: Comparison) -> str:
    """Return the comparison as JSON, in the units of summary.json; unknown values are null."""
    tree = {
        "format": _FORMAT,
        "runs": [
            {"path": str(run.path), "name": run.name, "seed": run.seed, "started": run.started}
            for run in comparison.runs
        ],
        "left_out": [{**asdict(run), "path": str(run.path)} for run in comparison.left_out],
        "tables": [_table_record(table) for table in comparison.tables],
    }
    return json.dumps(
        replace_non_finite(tree, "", []), indent=2, ensure_ascii=False, allow_nan=False
    )


def _table_record(table: ComparisonTable) -> dict[str, Any]:
    indices = {id(setting): index for index, setting in enumerate(table.settings)}
    choice, marginal = table.choice, table.marginal
    return {
        "table": table.number,
        "reasons": table.reasons,
        "metric": table.metric,
        "keys": table.differing,
        "settings": [
            {
                "values": setting.values,
                "judged_by": line.model,
                "runs": {str(seed): str(run.path) for seed, run in setting.runs.items()},
            }
            for setting, line in zip(table.settings, table.judged, strict=True)
        ],
        "lines": [
            {
                "model": line.model,
                "settings": [
                    indices[id(setting)] for setting in line.settings if id(setting) in indices
                ],
                "values": line.values,
                "pareto": sorted(line.fronts),
                "latency_runtime": line.runtime or None,
                "metrics": {name: _metric_record(line, name) for name in line.estimates},
            }
            for line in table.lines
        ],
        "choice": choice
        and {
            "setting": None if choice.setting is None else indices[id(choice.setting)],
            "by": choice.by,
            "chosen": choice.chosen and asdict(choice.chosen),
            "tested": choice.tested and asdict(choice.tested),
            "sentence": choice.sentence,
        },
        "tests": [_test_record(test) for test in table.results],
        "marginal": marginal
        and {
            **{key: value for key, value in vars(marginal).items() if key != "results"},
            "estimates": [
                {name: asdict(estimate) for name, estimate in estimates.items()}
                for estimates in marginal.estimates
            ],
            "tests": [_test_record(test) for test in marginal.results],
        },
        "notes": table.notes,
    }


def _test_record(test: SignificanceTest) -> dict[str, Any]:
    return {**vars(test), "metric": test.metric.name, "sentence": test.sentence}


def _metric_record(line: TableLine, name: str) -> dict[str, Any]:
    by_seed = {str(seed): value for seed, value in line.figures(name).items()}
    return {**asdict(line.estimates[name]), "by_seed": by_seed}


def as_csv(comparison: Comparison) -> str:
    """Return the tables as CSV, one row for each line; unknown values are empty."""
    keys = list(dict.fromkeys(key for table in comparison.tables for key in table.differing))
    fields = ("mean", "deviation", "low", "high", "n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = dict.fromkeys(name for table in comparison.tables for name in table.metrics)
    metric_columns = [f"{name}_{field}" for name in metrics for field in fields]
    writer.writerow(["table", "model", *map(_no_formula, keys), "seeds", "pareto", *metric_columns])
    for table in comparison.tables:
        for line in table.lines:
            values = [value_text(line.values[key]) if key in line.values else "" for key in keys]
            estimates = [line.estimates.get(name) for name in metrics]
            figures = [
                None if estimate is None else getattr(estimate, field)
                for estimate in estimates
                for field in fields
            ]
            seeds, pareto = " ".join(map(str, line.rows)), " ".join(sorted(line.fronts))
            texts = [_no_formula(text) for text in (line.model, *values, seeds, pareto)]
            writer.writerow([table.number, *texts, *figures])
    return text.getvalue().rstrip("\n")


def _no_formula(text: str) -> str:
    """Return the text so that a spreadsheet takes it for no formula: with ' before =, +, -, @.

    Numbers stay as they are.
    """
    if not text.lstrip().startswith(("=", "+", "-", "@")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
