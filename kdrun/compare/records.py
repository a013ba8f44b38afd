"""A comparison for other programs: as JSON, and its tables as CSV."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from kdrun.compare.comparison import Comparison, ComparisonTable
from kdrun.compare.keys import value_text
from kdrun.compare.metrics import METRICS
from kdrun.compare.seed_means import TableLine
from kdrun.core.atomic import replace_non_finite

_FORMAT = 1  # of the JSON; raised when its meaning changes


def as_json(comparison: Comparison) -> str:
    """Return the whole comparison; values are as in summary.json, null where unknown."""
    tree = {
        "format": _FORMAT,
        "runs": [
            {"path": str(run.path), "name": run.name, "seed": run.seed, "started": run.started}
            for run in comparison.runs
        ],
        "left_out": [{**asdict(one), "path": str(one.path)} for one in comparison.left_out],
        "tables": [_family(family) for family in comparison.families],
    }
    return json.dumps(
        replace_non_finite(tree, "", []), indent=2, ensure_ascii=False, allow_nan=False
    )


def _family(family: ComparisonTable) -> dict[str, Any]:
    numbers = {id(one): number for number, one in enumerate(family.settings)}
    choice, marginal = family.choice, family.marginal
    return {
        "table": family.number,
        "reasons": family.reasons,
        "metric": family.metric,
        "keys": family.differing,
        "settings": [
            {
                "values": one.values,
                "judged_by": line.model,
                "runs": {str(seed): str(run.path) for seed, run in one.runs.items()},
            }
            for one, line in zip(family.settings, family.judged, strict=True)
        ],
        "lines": [
            {
                "model": line.model,
                "settings": [numbers[id(one)] for one in line.settings if id(one) in numbers],
                "values": line.values,
                "pareto": sorted(line.fronts),
                "latency_runtime": line.runtime or None,
                "metrics": {name: _metric(line, name) for name in line.estimates},
            }
            for line in family.lines
        ],
        "choice": choice
        and {
            "setting": None if choice.setting is None else numbers[id(choice.setting)],
            "by": choice.by,
            "chosen": choice.chosen and asdict(choice.chosen),
            "tested": choice.tested and asdict(choice.tested),
            "sentence": choice.sentence,
        },
        "tests": [{**asdict(one), "sentence": one.sentence} for one in family.results],
        "marginal": marginal
        and {
            **{key: value for key, value in vars(marginal).items() if key != "results"},
            "estimates": [
                {name: asdict(one) for name, one in found.items()} for found in marginal.estimates
            ],
            "tests": [{**asdict(one), "sentence": one.sentence} for one in marginal.results],
        },
        "notes": family.notes,
    }


def _metric(line: TableLine, name: str) -> dict[str, Any]:
    own = {str(seed): figure for seed, figure in line.figures(name).items()}
    return {**asdict(line.estimates[name]), "by_seed": own}


def as_csv(comparison: Comparison) -> str:
    """Return a row for each line of the tables; unknown values are empty."""
    keys = list(dict.fromkeys(key for one in comparison.families for key in one.differing))
    parts = ("mean", "deviation", "low", "high", "n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{name}_{part}" for name in METRICS for part in parts]
    writer.writerow(["table", "model", *keys, "seeds", "pareto", *heads])
    for family in comparison.families:
        for line in family.lines:
            values = [value_text(line.values[key]) if key in line.values else "" for key in keys]
            found = [line.estimates.get(name) for name in METRICS]
            figures = [
                None if one is None else getattr(one, part) for one in found for part in parts
            ]
            seeds, pareto = " ".join(map(str, line.rows)), " ".join(sorted(line.fronts))
            writer.writerow([family.number, line.model, *values, seeds, pareto, *figures])
    return text.getvalue().rstrip("\n")
