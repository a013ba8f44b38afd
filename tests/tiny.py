"""The words of a small run, and what the fixtures that run it are."""

import subprocess
from collections.abc import Callable

Kdrun = Callable[..., subprocess.CompletedProcess[str]]
Refused = Callable[..., str]

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
