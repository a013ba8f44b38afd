"""The words of a small run, and what the fixtures that run it are."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Kdrun = Callable[..., subprocess.CompletedProcess[str]]
Refused = Callable[..., str]
Main = Callable[..., tuple[int, Path]]
Run = Callable[..., Path]
Told = Callable[..., tuple[int, str]]

# A whole run in a second or two: few samples, two epochs, networks of a few thousand weights.
TINY = (
    "teacher=mlp",
    "teacher.hidden=[32]",
    "student=mlp",
    "student.hidden=[8]",
    "dataset.subset=256",
    "recipe.epochs=2",
    "evaluate.latency.seconds=0.01",
    "threads=1",
)


def result(folder: Path) -> dict[str, Any]:
    """All weights and measurements of a run, and what its models answered."""
    stored = np.load(folder / "predictions.npz")
    files = sorted([*folder.glob("*/weights.safetensors"), *folder.glob("*/metrics.jsonl")])
    return {
        **{str(path.relative_to(folder)): path.read_bytes() for path in files},
        **{name: stored[name].tolist() for name in stored.files},
    }
