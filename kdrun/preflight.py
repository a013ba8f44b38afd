"""Everything that can be wrong with a config, found before the first step, all together."""

from collections.abc import Callable, Mapping
from functools import cache
from json import dumps, loads
from typing import Any

from kdrun import checks, dataset
from kdrun.core.config import Config
from kdrun.core.device import Hardware, choose_hardware
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.plugins import install_plugins
from kdrun.core.registry import check_model
from kdrun.dataset.data import Data
from kdrun.runner import Plan
from kdrun.stage.plan import plan_stages


def check(tree: Mapping[str, Any], jobs: int = 1) -> Plan:
    """Check a resolved config and all that it names, and read its data.

    Args:
        tree: the config as plain dicts and lists.
        jobs: how many jobs of a sweep run on this machine at the same time.

    Raises:
        ConfigError: with every fault that was found.
    """
    install_plugins(tree.get("plugins") or [])
    faults = [*checks.forbidden("", tree), *checks.parts(tree)]
    broken = check_model("", tree, Config, "the config")
    if broken:
        raise ConfigError([*broken, *faults])
    config = Config.model_validate(tree)
    faults += checks.network_settings("teacher", config.teacher)
    faults += checks.network_settings("student", config.student)
    faults += checks.teacher_recipe_keys(config)
    faults += checks.surroundings(config)
    data = _try(faults, lambda: load_data(config.dataset))
    hardware = _try(faults, lambda: _hardware(config, jobs, data))
    faulty = {fault.where.partition(".")[0] for fault in faults}
    if data is not None and not faulty & {"teacher", "student", "dataset"}:
        faults += checks.networks(config, data, join="loss" not in faulty)
    if faults or data is None or hardware is None:
        raise ConfigError(faults)
    return Plan(config, tree, data.to(hardware.device), hardware, plan_stages(config))


def _hardware(config: Config, jobs: int, data: Data | None) -> Hardware:
    readers = getattr(data.train.feed, "workers", 0) if data is not None else 0
    readers = readers if isinstance(readers, int) else 0
    return choose_hardware(config.device, config.precision, config.threads, jobs, readers)


def load_data(node: Mapping[str, Any]) -> Data:
    """The splits that a dataset node describes; read once in a process."""
    return _load(dumps(dict(node), sort_keys=True))


@cache
def _load(text: str) -> Data:
    return dataset.load(loads(text))


def _try(faults: list[Fault], make: Callable[[], Any]) -> Any:
    """What `make` returns, or None and its faults."""
    made: list[Any] = []
    faults += checks.collect(lambda: made.append(make()))
    return made[0] if made else None
