"""What a run's bits depend on beside its config, and where two records of it differ."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kdrun import __version__
from kdrun.core.device import Hardware

_PACKAGES = ("torch", "torchvision", "numpy", "hydra-core")


def surroundings(hardware: Hardware) -> dict[str, Any]:
    """Versions, machine and commit, for the record."""
    cuda = hardware.device.type == "cuda"
    return {
        "python": platform.python_version(),
        "kdrun": __version__,
        "packages": {name: version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "device": torch.cuda.get_device_name(hardware.device) if cuda else hardware.device.type,
        "git_commit": _commit(),
    }


def differences(before: Any, now: Any, where: str = "") -> list[str]:
    """Where two trees differ, a line a value: `recipe.lr: 0.1, was 0.05`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*now, *(key for key in before if key not in now)]
        pairs = [(key, f"{where}.{key}".lstrip(".")) for key in keys]
        return [
            line for key, at in pairs for line in differences(before.get(key), now.get(key), at)
        ]
    return [] if before == now else [f"{where}: {now}, was {before}"]


def _commit() -> str | None:
    """The commit of the code that is run from, where that is a checkout."""
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
