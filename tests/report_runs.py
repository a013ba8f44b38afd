"""Run folders as a run leaves them, written by hand: small, with the figures a test wants."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from kdrun.core.folder import RunFolder

CLASSES = 4
SAMPLES = 40
ROWS = ("teacher", "alone", "distilled")
_BYTES = {"teacher": 100_000, "alone": 9_000, "distilled": 9_000}


def write_run(
    folder: Path,
    seed: int = 0,
    accuracy: float = 0.9,
    temperature: float = 4.0,
    name: str = "mlp-mlp-kd",
    classes: int = CLASSES,
    status: str = "finished",
    **config: Any,
) -> Path:
    """A finished run with a teacher, a control and a distilled student.

    Args:
        folder: is made.
        seed: of the run.
        accuracy: of the distilled student, on both splits.
        temperature: of the loss, with which the distilled student's fingerprint changes.
        name: of the run.
        classes: how many there are.
        status: in the manifest.
        config: further keys.
    """
    folder.mkdir(parents=True)
    prints = {
        "teacher": f"t{seed}",
        "alone": f"a{seed}",
        "distilled": f"d{seed}-{temperature}-{accuracy}-{sorted(config.items())}",
    }
    tree = {
        "seed": seed,
        "dataset": {"name": "digits"},
        **config,
        "loss": {"name": "kd", "temperature": temperature, **config.get("loss", {})},
    }
    manifest = {
        "format": 1,
        "status": status,
        "name": name,
        "seed": seed,
        "started": "2026-01-01T00:00:00+00:00",
        "command": f"kdrun loss.temperature={temperature} seed={seed}",
        "hardware": "cpu, fp32, 1 CPU thread",
        "config": tree,
        "error": None if status == "finished" else "the loss term 'kd' is not a number",
        "environment": {"python": "3.11", "kdrun": "0.1.0", "packages": {"torch": "2.11"}},
        "stages": {
            stage: {"fingerprint": prints[row], "seconds": 1.0, "from_store": stage == "teacher"}
            for stage, row in zip(("teacher", "alone", "distill"), ROWS, strict=True)
        },
    }
    _json(folder / "run.json", manifest)
    _json(folder / "config.yaml", tree)  # JSON is YAML
    if status == "finished":
        values = dict(zip(ROWS, (0.95, 0.8, accuracy), strict=True))
        rows = [_row(row, prints[row], values[row]) for row in ROWS]
        summary = {"dataset": "digits", "samples": SAMPLES, "epoch": "last", "rows": rows}
        _json(folder / "summary.json", {"format": 1, "split": "test", **summary})
        _artefact(folder / "student", prints["distilled"], classes)
    _metrics(folder, accuracy)
    _arrays(folder, classes)
    return folder


def _row(model: str, fingerprint: str, accuracy: float) -> dict[str, Any]:
    scores = {"top5": 1.0, "precision": accuracy, "recall": accuracy, "f1": accuracy, "ece": 0.05}
    place = {"batch": 1, "threads": 1, "dtype": "float32", "device": "cpu"}
    size = _BYTES[model]
    row = {
        "model": model,
        "name": "mlp",
        "n": SAMPLES,
        "accuracy": accuracy,
        "accuracy_half_width": 0.1,
        **scores,
        "nll": 0.4,
        "agreement": 0.9,
        "parameters": size // 4,
        "nonzero": size // 4,
        "macs": size // 4,
        "bytes": size,
        "epochs": 3,
        "steps": 60,
        "seconds": 1.0,
        "fingerprint": fingerprint,
        "best": {"epoch": 2, "accuracy": accuracy, "f1": accuracy},
        "validation": {"n": 20, "accuracy": accuracy, "nll": 0.4, **scores},
        "latency": {"median_ms": size / 1e5, "p95_ms": size / 1e5, **place},
    }
    if model == "distilled":
        row["gain"] = {"over": "alone", "accuracy": accuracy - 0.8, "low": -0.05, "high": 0.25}
    return row


def _metrics(folder: Path, accuracy: float) -> None:
    lines = []
    for stage in ("teacher", "alone", "distill"):
        for epoch in (1, 2, 3):
            place = {"stage": stage, "phase": "main", "epoch": epoch, "step": 20 * epoch}
            terms = {"ce": 2.0 / epoch, "loss": 2.0 / epoch}
            if stage == "distill":
                terms |= {"kd": 1.0 / epoch, "loss": 3.0 / epoch}
            rates = {"lr": 0.1, "grad_norm": 0.3}
            lines.append({**place, "split": "train", **terms, "accuracy": 0.5, **rates})
            value = accuracy * (0.7 + 0.1 * epoch)
            lines.append({**place, "split": "validation", "n": 20, "accuracy": value, "nll": 0.3})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)


def _arrays(folder: Path, classes: int) -> None:
    target = np.arange(SAMPLES) % classes
    arrays: dict[str, np.ndarray] = {"index": np.arange(SAMPLES), "target": target}
    for number, row in enumerate(ROWS):
        wrong = np.arange(SAMPLES) % 10 < number  # the later the row, the more
        arrays[f"{row}/predicted"] = np.where(wrong, (target + 1) % classes, target)
        arrays[f"{row}/probability"] = np.where(wrong, 0.2, 0.8)
        arrays[f"{row}/confidence"] = np.linspace(0.3, 1.0, SAMPLES)
    (folder / "predictions.npz").write_bytes(_packed(arrays))
    shown = 5
    examples: dict[str, np.ndarray] = {
        "row": np.array("teacher"),
        "index": np.arange(shown),
        "target": target[:shown],
        "images": np.arange(shown * 64, dtype=np.uint8).reshape(shown, 8, 8, 1),
        "classes": np.stack([target[:shown], (target[:shown] + 1) % classes], axis=1),
    }
    shares = np.tile(np.array([0.6, 0.4], np.float32), (shown, 1))
    examples |= {f"{row}/probability": shares for row in ROWS}
    (folder / "examples.npz").write_bytes(_packed(examples))


def _artefact(folder: Path, fingerprint: str, classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    folder.mkdir()
    record = {"fingerprint": fingerprint, "stage": "distill", "data": {"classes": names}}
    _json(folder / "artefact.json", {"format": 1, **record})


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def seal(folder: Path) -> Path:
    """Give a run the sums that a run of this kdrun has; `write_run` writes a run of before."""
    run = RunFolder(folder)
    summary = run.summary()
    if summary is not None:
        run.write_summary(summary)
    run.update(sums=run.sums())
    return folder
