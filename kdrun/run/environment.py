"""Describes the software and the machine of a run, and compares such records and configs."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kdrun import __version__
from kdrun.config.older_runs import with_new_keys
from kdrun.core.device import Hardware
from kdrun.core.errors import UserError
from kdrun.core.folder import RunFolder
from kdrun.core.instructions import instruction_set
from kdrun.core.records.manifest import Environment

_PACKAGES = ("torch", "torchvision", "numpy", "hydra-core")


def describe_environment(hardware: Hardware) -> Environment:
    """Return versions, machine and commit, for the manifest of a run."""
    cuda = hardware.device.type == "cuda"
    return {
        "python": platform.python_version(),
        "kdrun": __version__,
        "packages": {name: version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "instructions": instruction_set(),
        "threads": hardware.threads,
        "device": torch.cuda.get_device_name(hardware.device) if cuda else hardware.device.type,
        "git_commit": _commit(),
    }


def changes_since(before: Environment, now: Environment) -> list[str]:
    """Return how a resumed run is not exact; keys that an older kdrun lacked are skipped."""
    recorded = {key: value for key, value in now.items() if key in before}
    return [f"resumed with {line}" for line in differences(before, recorded)]


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Return a line for each difference of two nested dicts, such as `recipe.lr: 0.1, was 0.05`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*now, *(key for key in before if key not in now)]
        pairs = [(key, f"{path}.{key}".lstrip(".")) for key in keys]
        return [
            line for key, path in pairs for line in differences(before.get(key), now.get(key), path)
        ]
    return [] if before == now else [f"{path}: {now}, was {before}"]


def refuse_changes(folder: RunFolder, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise an error if the config of a run is another now, but for keys that it lacked.

    Raises:
        UserError: the config file was changed since the run began.
    """
    shared = {key: now[key] for key in now if key in before}
    # An older kdrun recorded nodes without the keys that they have got since.
    if differences(before, shared) and (changed := differences(with_new_keys(before), now)):
        raise UserError(
            f"the config of {str(folder.path)!r} is not the one that its run began with.",
            *(f"  {line}" for line in changed[:5]),
            "  undo the change, or start a new run with it",
        )


def _commit() -> str | None:
    """Return the commit of kdrun's code; None if it is not a Git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
