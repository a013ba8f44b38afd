"""Refuses values of Hydra's own config that would run code or write outside of the run.

A config may come from a stranger.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kdrun.core.errors import ConfigError, Fault

# A class in a module of Hydra or of its plugins, but nothing that such a module imports: `Path`
# is an attribute of Hydra's modules, too.
_HYDRA = r"(hydra\._internal\.core_plugins\.\w+|hydra_plugins(\.\w+){1,2})"
_CLASSES = {
    "hydra.launcher._target_": re.compile(rf"{_HYDRA}\.\w*Launcher"),
    "hydra.sweeper._target_": re.compile(rf"{_HYDRA}\.\w*Sweeper"),
}
# Keys whose values are called by Hydra or logging -> what is harmless.
_CALLS = {
    "_target_": re.compile(r"(?!)"),
    "()": re.compile(r"colorlog\.ColoredFormatter"),
    "class": re.compile(r"logging\.(StreamHandler|FileHandler)"),
}
_LOGGING = re.compile(r"hydra\.(job|hydra)_logging\b")
# What may stand for other values in the config of logging, which imports the modules of `ext://`.
_OWN_VALUES = ("ext://sys.stdout", "ext://sys.stderr")
_OWN_FILE = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
_SUBFOLDER = ".hydra"  # of a run, for Hydra's files
_MAPPINGS = ("launcher", "sweeper", "job", "job_logging", "hydra_logging")
# Launchers that run jobs on this machine, without a folder of pickled results.
_SIMPLE_LAUNCHERS = ("BasicLauncher", "JoblibLauncher")
_RESULTS = "${hydra.sweep.dir}/.submitit/%j"  # where the others keep them
_NOT_TYPED = "is refused: {!r} may run code; type it yourself, also after kdrun resume SWEEP"
_NO_CODE = "is refused: a config calls no code, and this would call {}"


def refuse_foreign_code(config: DictConfig) -> None:
    """Raise a ConfigError if a composed config would make Hydra run foreign code."""
    node = OmegaConf.to_container(config, resolve=False)
    assert isinstance(node, dict)
    del node["hydra"]  # `_target_` is refused everywhere, as a launcher may refer to any node
    targets = [(key, value) for key, value in _leaves(node) if key.endswith("_target_")]
    faults = [Fault(key, _NO_CODE.format(value)) for key, value in targets]
    if faults := [*faults, *foreign_code(config.hydra)]:
        raise ConfigError(faults)


def foreign_code(hydra: DictConfig) -> list[Fault]:
    """Return a fault for each value that would make Hydra run foreign code.

    Args:
        hydra: the node `hydra` of a composed config.
    """
    node = OmegaConf.to_container(hydra, resolve=False)
    assert isinstance(node, dict)
    faults = [
        fault
        for key, value in _leaves(node, "hydra")
        if (fault := _fault_of(key, value)) is not None
    ]
    faults += [
        Fault(f"hydra.{key}", "is refused: it must be a mapping, not an interpolation")
        for key in _MAPPINGS
        if not isinstance(node.get(key, {}), dict)
    ]
    if faults:
        return faults
    return [*_callbacks(node), *_environment(node), *_job_name(node), *_places(node)]


def _leaves(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf; items of a list have the key of the list."""
    if isinstance(node, dict):
        for key, item in node.items():
            yield from _leaves(item, f"{where}.{key}".lstrip("."))
    elif isinstance(node, list):
        for item in node:
            yield from _leaves(item, where)
    else:
        yield where, node


def _fault_of(key: str, value: Any) -> Fault | None:
    """Return the fault of a leaf that names code, or could stand for something that does."""
    allowed = _CLASSES.get(key) or _CALLS.get(key.rpartition(".")[2])
    if allowed is not None and not allowed.fullmatch(str(value)):
        return Fault(key, _NO_CODE.format(value))
    text = str(value)
    if not _LOGGING.match(key) or text == _OWN_FILE or text in _OWN_VALUES:
        return None
    if "${" in text or text.startswith(("ext://", "cfg://")) or key.endswith(".filename"):
        return Fault(key, f"is refused: {text} is not one of the values that Hydra has here")
    return None


def _callbacks(node: dict[Any, Any]) -> list[Fault]:
    if not node.get("callbacks"):
        return []
    return [Fault("hydra.callbacks", "is refused: kdrun has no callbacks of Hydra")]


def _environment(node: dict[Any, Any]) -> list[Fault]:
    """Return a fault if the config sets variables, such as PATH, which chooses other programs."""
    if not node.get("job", {}).get("env_set"):
        return []
    sentence = "is refused: a config sets no environment variables; set them in the shell"
    return [Fault("hydra.job.env_set", f"{sentence}: NAME=value kdrun ...")]


def _job_name(node: dict[Any, Any]) -> list[Fault]:
    """Return a fault if the name of the job, which is a file's name in `.log`, holds a path."""
    name = str(node.get("job", {}).get("name"))
    if re.fullmatch(r"[\w-][\w.-]*", name):
        return []
    return [Fault("hydra.job.name", f"is refused: {name!r} is no plain name of a file")]


def _places(node: dict[Any, Any]) -> list[Fault]:
    """Return faults for keys that would make paths mean others, or write outside of the run."""
    faults = []
    if node.get("job", {}).get("chdir"):
        stays = "kdrun stays in the folder where it is started, which paths are relative to"
        faults.append(Fault("hydra.job.chdir", f"is refused: {stays}"))
    if node.get("output_subdir") not in (_SUBFOLDER, None):
        has = f"a run has Hydra's files in {_SUBFOLDER}, or none: hydra.output_subdir=null"
        faults.append(Fault("hydra.output_subdir", f"is refused: {has}"))
    return faults


def untyped_launcher(launcher: DictConfig, typed: Sequence[str]) -> list[Fault]:
    """Return a fault for what a launcher would run or reach that the user did not type.

    Launchers of clusters run lines of a shell (`setup`), read pickled results from a folder, or
    connect to other machines. A config folder or a sweep that somebody sent may choose neither.

    Args:
        launcher: the config node `hydra.launcher`.
        typed: the settings that the user typed.
    """
    node = OmegaConf.to_container(launcher, resolve=False)
    if not isinstance(node, dict):  # `foreign_code` refuses it
        return []
    keys = {word.lstrip("+").partition("=")[0] for word in typed}
    faults = []
    kind = str(node["_target_"]).rpartition(".")[2]
    if kind not in _SIMPLE_LAUNCHERS and "hydra/launcher" not in keys:
        faults.append(Fault("hydra/launcher", _NOT_TYPED.format(kind)))
    for name, value in node.items():
        # A line break would end the comment in a script of SLURM that holds the value.
        is_plain = not isinstance(value, dict | list) and "\n" not in str(value)
        if is_plain and (name != "submitit_folder" or value == _RESULTS):
            continue
        for key, item in _leaves(value, f"hydra.launcher.{name!s}"):
            if not any(f"{key}.".startswith(f"{one}.") for one in keys):
                faults.append(Fault(key, _NOT_TYPED.format(item)))
    return faults
