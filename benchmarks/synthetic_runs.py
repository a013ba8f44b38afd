"""Run folders with made-up results, to test and time comparisons on."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

ROWS = ("teacher", "alone", "distilled")
_SAMPLES = 360
_SIZES = {"teacher": (4810, 4736, 19544), "alone": (610, 592, 2736), "distilled": (610, 592, 2736)}
_LEVELS = {"teacher": 0.95, "alone": 0.85, "distilled": 0.87}

CONFIG: dict[str, Any] = {
    "seed": 0,
    "name": None,
    "tags": [],
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "controls": ["alone"],
    "output_root": "outputs",
    "teacher": {"name": "mlp", "hidden": [64], "recipe": None},
    "student": {"name": "mlp", "hidden": [8], "init": "scratch"},
    "evaluate": {"batch_size": 256, "latency": {"batch_size": 1, "threads": 1, "seconds": 1.0}},
    "dataset": {
        "name": "digits",
        "root": "data",
        "subset": None,
        "classes": None,
        "validation": 0.1,
        "test": 0.2,
        "split_seed": 0,
        "workers": "auto",
        "augment": {"crop": 0, "flip": False},
    },
    "loss": {"name": "kd", "alpha": 0.5, "temperature": 4.0},
    "scheme": {"name": "none"},
    "recipe": {
        "optimizer": {"name": "adamw", "betas": [0.9, 0.999]},
        "schedule": {"name": "cosine", "last": 0.0},
        "epochs": 30,
        "batch_size": 64,
        "lr": 0.002,
        "select": "last",
    },
    "compress": {"of": "student", "steps": []},
}


def write_run(
    path: Path,
    values: Mapping[str, Any] | None = None,
    *,
    merits: Mapping[str, float] | None = None,
    rows: Sequence[str] = ROWS,
    manifest: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    latency: Mapping[str, Any] | None = None,
    validation: bool = True,
    predictions: bool = True,
) -> Path:
    """Write the folder of a finished run.

    Args:
        path: the folder.
        values: dotted key -> value of the config; they decide the noise of the results.
        merits: row -> the top-1 accuracy that its results are drawn around.
        rows: names of the rows.
        manifest: values of run.json that differ.
        summary: values of summary.json that differ.
        latency: values of the rows' latency that differ.
        validation: whether rows have validation results, which older runs have not.
        predictions: whether predictions.npz is written.
    """
    config = _config(values or {})
    shared = _mark({**config, "loss": None, "scheme": None, "compress": None})
    shared_marks = {"teacher": f"t{shared}", "alone": f"a{shared}"}
    levels = {**dict.fromkeys(rows, _LEVELS["distilled"]), **_LEVELS, **(merits or {})}
    marks = {row: shared_marks.get(row, f"{row}-{_mark(config)}") for row in rows}
    answers = {row: _right(marks[row], levels[row]) for row in rows}
    table = [_row(row, answers[row], marks[row], levels[row], validation) for row in rows]
    for entry in table:
        entry["latency"] |= latency or {}
    path.mkdir(parents=True, exist_ok=True)
    run = {
        "format": 1,
        "status": "finished",
        "config": config,
        "started": "2026-11-21T21:12:24+00:00",
        "command": "kdrun",
        "error": None,
        "seed": config["seed"],
        "name": "mlp-mlp-kd",
        "hardware": "cpu",
        "environment": {"kdrun": "0.1.0", "packages": {"torch": "2.15.0"}, "device": "cpu"},
        "inexact": [],
        "stages": {
            row: {"fingerprint": mark, "seconds": 0.1, "from_store": False}
            for row, mark in marks.items()
        },
        "ended": "2026-11-21T21:12:25+00:00",
        "seconds": 1.0,
        **(manifest or {}),
    }
    results = {
        "format": 1,
        "split": "test",
        "samples": _SAMPLES,
        "epoch": "last",
        "dataset": config["dataset"]["name"],
        "held_out": f"{config['dataset']['name']}-{config['dataset']['split_seed']}",
        "jobs": 1,
        "inexact": [],
        "rows": table,
        **(summary or {}),
    }
    (path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (path / "summary.json").write_text(json.dumps(results), encoding="utf-8")
    if predictions:
        _write_answers(path / "predictions.npz", answers)
    return path


def _config(values: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    for key, value in values.items():
        *path, last = key.split(".")
        node = config
        for name in path:
            node = node.setdefault(name, {})
        node[last] = value
    return config


def _mark(config: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(config, sort_keys=True).encode(), digest_size=8).hexdigest()


def _right(mark: str, level: float) -> np.ndarray:
    """(N,) bool, which test samples a model gets right; the mark alone decides the noise."""
    generator = np.random.default_rng(int(blake2b(mark.encode(), digest_size=6).hexdigest(), 16))
    return generator.random(_SAMPLES) < level


def _row(row: str, right: np.ndarray, mark: str, level: float, validation: bool) -> dict[str, Any]:
    parameters, macs, size = _SIZES.get(row, _SIZES["distilled"])
    accuracy, checked = float(right.mean()), float(_right(f"{mark}-validation", level).mean())
    best: dict[str, Any] = {"epoch": 3, "accuracy": accuracy - 0.002, "f1": accuracy - 0.01}
    scores = {"accuracy": checked, "f1": checked - 0.01, "nll": 0.5, "ece": 0.05}
    return {
        "model": row,
        "name": "mlp",
        "n": _SAMPLES,
        "accuracy": accuracy,
        "top5": 0.99,
        "precision": accuracy,
        "recall": accuracy,
        "f1": accuracy - 0.01,
        "nll": 1 - accuracy,
        "ece": 0.05,
        "accuracy_half_width": 0.03,
        "agreement": 0.9,
        "parameters": parameters,
        "nonzero": parameters,
        "macs": macs,
        "bytes": size,
        "epochs": 30,
        "first_epochs": 0,
        "steps": 600,
        "seconds": 10.0,
        "images_per_second": 1000.0,
        "fingerprint": mark,
        "best": {**best, **({"validation": checked + 0.001} if validation else {})},
        **({"validation": scores} if validation else {}),
        "latency": {
            "median_ms": 0.1 if row == "teacher" else 0.05,
            "p95_ms": 0.2,
            "batch": 1,
            "threads": 1,
            "device": "cpu",
            "dtype": "float32",
            "repeats": 100,
            "runtime": "eager PyTorch",
        },
    }


def _write_answers(path: Path, answers: Mapping[str, np.ndarray]) -> None:
    target = np.arange(_SAMPLES) % 10
    arrays = {
        f"{row}/predicted": np.where(right, target, (target + 1) % 10)
        for row, right in answers.items()
    }
    np.savez_compressed(path, index=np.arange(_SAMPLES), target=target, **arrays)
