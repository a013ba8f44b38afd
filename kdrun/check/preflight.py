"""Everything that can be wrong with a config, found before the first step, all together."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from torch import nn

from kdrun import dataset
from kdrun.check import settings
from kdrun.check.networks import fit, try_network
from kdrun.config.concept_maps import with_concepts
from kdrun.config.older_runs import with_new_keys
from kdrun.core.config import Config, plain, shortened
from kdrun.core.device import Hardware, choose_hardware
from kdrun.core.disk import writable
from kdrun.core.errors import ConfigError, Fault, collect
from kdrun.core.plugins import install_plugins, plugin_modules
from kdrun.core.registry import check_model
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data
from kdrun.run.runner import Plan
from kdrun.scheme.base import teacher_recipe
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import MAIN
from kdrun.stage.outputs import told
from kdrun.step.plan import all_stages

_RECIPE = "teacher.recipe"

Questions = list[tuple[set[str], Callable[[], list[Fault]]]]


def check(tree: Mapping[str, Any], jobs: int = 1, unknown: Iterable[str] = ()) -> Plan:
    """Check a resolved config and all that it names, and read its data.

    Args:
        tree: the config as plain dicts and lists.
        jobs: how many jobs of a sweep run on this machine at the same time.
        unknown: keys whose choice could not be found: another stands there, not to be judged.

    Raises:
        ConfigError: with every fault that was found.
    """
    tree, faults = with_concepts(plain(tree))
    plugins: list[str] = []
    faults += collect(lambda: plugins.extend(_install(tree.get("plugins"))), "plugins")
    config, broken = _bind(tree)
    faults += settings.forbidden("", tree) + [one for one in broken if "_target_" not in one.where]
    faults += [one for one in settings.parts(tree) if "_target_" not in one.where]
    sound = {*tree, _RECIPE} - set(unknown) - _sections(faults)
    around = _ask(_about_surroundings(config), sound)
    faults += _ask(_about_settings(config), sound)
    sound -= _keys(faults)
    faults += around
    data = _try(faults, lambda: load_data(config.dataset)) if "dataset" in sound else None
    info = _known(config, data) if "dataset" in sound else None
    datasets, found = _datasets(config, data, sound)
    faults += found
    sound -= {*_keys(found), "scheme"} if found else set()
    hardware = None
    if "device" in sound:
        hardware = _try(faults, lambda: _hardware(config, sound, jobs, data))
    if info is not None:
        faults += fit(config, info, datasets, sound)
    if faults or datasets is None or hardware is None:
        raise ConfigError(faults)
    chosen = {
        "device": str(hardware.device),
        "precision": hardware.precision,
        "threads": hardware.threads,
    }
    stages = all_stages(config)
    notes = _notes(config, datasets[MAIN], plugins)
    notes += told(stages, datasets)
    others = [one.notes for one in datasets.values() if one.notes != datasets[MAIN].notes]
    notes += [note for own in others for note in own]
    datasets = {name: one.to(hardware.device) for name, one in datasets.items()}
    return Plan(config, {**tree, **chosen}, datasets, hardware, stages, notes)


def _datasets(
    config: Config, data: Data | None, sound: set[str]
) -> tuple[Mapping[str, Data] | None, list[Fault]]:
    """What the scheme's stages work with, the dataset alone where its settings are faulty."""
    faults: list[Fault] = []
    if data is None:
        return None, faults
    made = None
    if sound >= {"scheme", "dataset", "stop"}:
        made = _try(faults, lambda: make_scheme(config.scheme).datasets(config, data))
    return made or {MAIN: data}, faults


def _notes(config: Config, data: Data, plugins: list[str]) -> list[str]:
    """What was named from outside, and whether fewer epochs are trained than were asked for."""
    recipes = (config.recipe, teacher_recipe(config))
    short = [shortened(recipe, data.train.steps(recipe.batch_size)) for recipe in recipes]
    named = [f"plugins: {', '.join(plugins)}"] if plugins else []
    if data.train.labeled is not None:
        labeled = int(data.train.has_label.sum())
        named.append(
            f"{labeled:,} of {data.train.size:,} training samples are labeled;"
            " what has no teacher learns from these alone, in as many epochs of fewer steps"
        )
    return [*named, *dict.fromkeys(sentence for sentence in short if sentence)]


def check_network(
    tree: Mapping[str, Any], unknown: Iterable[str], known: Iterable[Fault]
) -> tuple[nn.Module, DataInfo]:
    """Build the student of a config for its dataset, whose files are read only if they must be.

    Args:
        tree: the config as plain dicts and lists.
        unknown: keys whose choice could not be found.
        known: faults that were found before, to be reported with the others.

    Raises:
        ConfigError: with every fault that was found.
    """
    config, broken = _bind(tree)
    faults = [*known, *(one for one in broken if _sections([one]) & {"student", "dataset"})]
    sound = {"student", "dataset"} - set(unknown) - _sections(broken)
    info = _try(faults, lambda: _info(config)) if "dataset" in sound else None
    if "student" in sound:
        faults += settings.network_settings("student", config.student)
    if faults or info is None:
        raise ConfigError(faults)
    network, found = try_network("student", config.student, info)
    if network is None or found:
        raise ConfigError(found)
    return network, info


def _info(config: Config) -> DataInfo:
    return dataset.preview(config.dataset) or load_data(config.dataset).info


def _known(config: Config, data: Data | None) -> DataInfo | None:
    """What is known of a dataset, also where it can't be used as the config asks."""
    if data is not None:
        return data.info
    found: list[DataInfo | None] = [None]
    collect(lambda: found.append(dataset.preview(config.dataset)))
    return found[-1] if found[-1] is not None and found[-1].num_classes > 1 else None


def read_run(tree: Mapping[str, Any]) -> tuple[Config, Data]:
    """The typed config of a finished run, and the data that its models were tested on.

    Where teachers came from, and the device, need not be there any more.

    Raises:
        ConfigError: a fault of the config, or the dataset's files are gone.
    """
    tree, faults = with_concepts(plain(with_new_keys(tree)))
    _install(tree.get("plugins"))
    config, broken = _bind(tree)
    faults += broken or settings.parts(tree)
    if faults:
        raise ConfigError(faults)
    data = load_data(config.dataset)
    return config, make_scheme(config.scheme).datasets(config, data)[MAIN]


def load_data(node: Mapping[str, Any]) -> Data:
    """The splits that a dataset node describes; read once in a process.

    The order of keys counts: that of `class_map` is the order of the labels.
    """
    return _load(json.dumps(dict(node)))


def _install(plugins: Any) -> list[str]:
    """Install the plugins of a config; their names."""
    modules = plugin_modules(plugins if isinstance(plugins, list) else [])
    install_plugins(modules)
    return list(modules)


def _bind(tree: Mapping[str, Any]) -> tuple[Config, list[Fault]]:
    """The typed config, its faulty sections left out so that the others can be looked at."""
    faults = check_model("", tree, Config, "the config")
    if not faults:
        return Config.model_validate(tree), []
    sound = {key: _typed(key, tree[key]) for key in set(tree) - _sections(faults)}
    return Config.model_construct(**sound), faults


def _typed(key: str, value: Any) -> Any:
    kind = Config.model_fields[key].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_validate(value)
    return value


def _ask(questions: Questions, sound: set[str]) -> list[Fault]:
    """The answers to those questions whose keys are sound."""
    return [fault for needs, ask in questions if needs <= sound for fault in ask()]


def _about_settings(config: Config) -> Questions:
    """What the config can prove wrong by itself, each with the keys that it stands on."""
    return [
        ({"teacher"}, lambda: settings.network_settings("teacher", config.teacher)),
        ({"student"}, lambda: settings.network_settings("student", config.student)),
        ({"teacher"}, lambda: settings.bare_recipe_parts(_RECIPE, config.teacher.recipe or {})),
        ({"teacher", "recipe"}, lambda: settings.teacher_recipe(config)),
        ({"compress", "recipe"}, lambda: settings.step_recipes(config)),
        ({"stop", "controls"}, lambda: settings.stop_rule(config)),
    ]


def _about_surroundings(config: Config) -> Questions:
    """What the machine can prove wrong before the data is read."""
    return [
        ({"teacher"}, lambda: settings.teacher_source(config.teacher)),
        ({"logger"}, lambda: settings.logger(config.logger)),
        ({"output_root"}, lambda: writable("output_root", config.output_root)),
    ]


def _sections(faults: Iterable[Fault]) -> set[str]:
    """The top-level keys that faults are about."""
    return {fault.where.partition(".")[0] for fault in faults}


def _keys(faults: Iterable[Fault]) -> set[str]:
    """The same; but a teacher can be judged whatever is wrong with its recipe."""
    return {
        _RECIPE if fault.where.startswith(_RECIPE) else fault.where.partition(".")[0]
        for fault in faults
    }


def _hardware(config: Config, sound: set[str], jobs: int, data: Data | None) -> Hardware:
    """The machine as the config asks for it; faulty keys hide nothing that the others show."""
    readers = getattr(data.train.feed, "workers", 0) if data is not None else 0
    readers = readers if isinstance(readers, int) else 0
    precision = config.precision if "precision" in sound else "auto"
    threads = config.threads if "threads" in sound else "auto"
    return choose_hardware(config.device, precision, threads, jobs, readers)


@cache
def _load(text: str) -> Data:
    return dataset.load(json.loads(text))


def _try(faults: list[Fault], make: Callable[[], Any]) -> Any:
    """What `make` returns, or None and its faults."""
    made: list[Any] = []
    faults += collect(lambda: made.append(make()))
    return made[0] if made else None
