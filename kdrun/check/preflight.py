"""Checks a config before the first step, and reports all faults together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kdrun.check import environment, settings
from kdrun.check.built import BuiltRun, sound_networks
from kdrun.check.components import check_components
from kdrun.check.data import info_despite_faults, load_data
from kdrun.check.networks import check_networks
from kdrun.check.notes import plan_notes
from kdrun.check.typed_config import read_config, sections, without_targets
from kdrun.config.concept_maps import with_concepts
from kdrun.core.config import Config, plain_tree
from kdrun.core.device import Hardware, choose_hardware, name_memory_errors
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.faults import Faults
from kdrun.core.plugin_code import PluginCode, plugin_codes
from kdrun.core.plugins import install_plugins, plugins_of_config
from kdrun.dataset.data import Data
from kdrun.run.plan import Plan
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import MAIN
from kdrun.step.plan import all_stages

# Checks in their order, each with the config keys that it reads; a check is skipped if one of
# its keys has a fault already.
Checks = Sequence[tuple[set[str], Callable[[Config, Faults], None]]]
SETTINGS: Checks = (
    ({"teacher"}, settings.check_teacher),
    ({"student"}, settings.check_student),
    ({"teacher"}, settings.check_bare_names),
    ({"teacher", "recipe"}, settings.check_teacher_recipe),
    ({"compress", "recipe"}, settings.check_step_recipes),
    ({"stop", "controls"}, settings.check_stop_rule),
)
ENVIRONMENT: Checks = (
    ({"teacher"}, environment.check_teacher_source),
    ({"logger"}, environment.check_logger),
    ({"output_root"}, environment.check_output_root),
)


class CheckedSettings(NamedTuple):
    """A config whose settings were checked.

    Attributes:
        tree: the config as a plain tree.
        config: the typed config, without the sections that have faults.
        typed: the top-level keys that could be read.
    """

    tree: Mapping[str, Any]
    config: Config
    typed: set[str]


@name_memory_errors(
    "out of memory while the config was checked.", "  use smaller images, networks or batches"
)
def check(tree: Mapping[str, Any], jobs: int = 1, unknown: Iterable[str] = ()) -> Plan:
    """Check a resolved config and everything that it names, read its data, and plan its stages.

    Args:
        tree: the config as plain dicts and lists.
        jobs: how many jobs of a sweep run on this machine at the same time.
        unknown: config groups for which an unknown choice was typed. `tree` has their default
            choice instead, which is not checked.

    Raises:
        ConfigError: all faults of the config.
        OutOfMemory: the data or the networks are too large.
    """
    faults, modules, plugins = Faults(), dict[str, str](), dict[str, PluginCode]()
    with faults.under("plugins"):
        modules = plugins_of_config(_texts(tree.get("plugins")))
        install_plugins(modules)
    tree, config, typed = _check_settings(tree, unknown, faults)
    with faults.under("plugins"):
        plugins = plugin_codes(modules, tree)
    sound = typed - _keys(faults)  # before ENVIRONMENT, whose faults do not make a key unsound
    _run_checks(ENVIRONMENT, config, typed, faults)
    data = info = hardware = None
    if "dataset" in sound:
        with faults.under():
            data = load_data(config.dataset, sound_networks(config, sound).values())
        info = data.info if data is not None else info_despite_faults(config.dataset)
    datasets = _make_datasets(config, data, sound, faults)
    if "device" in sound:
        with faults.under():
            hardware = _choose_hardware(config, sound, jobs, data)
    notes: list[str] = []
    if info is not None:
        run = BuiltRun(config, info, datasets, sound)
        check_networks(run)
        faults.extend(run.faults)
        notes += run.notes
    # Without data or hardware there may be no fault here, if a group is `unknown`.
    if faults or not datasets or hardware is None:
        raise ConfigError(list(faults))
    stages = all_stages(config)
    notes += plan_notes(config, stages, datasets, list(modules))
    on_device = {name: data.to(hardware.device) for name, data in datasets.items()}
    tree = {**tree, **hardware.settings}
    return Plan(config, tree, on_device, hardware, stages, notes, plugins)


def settings_faults(tree: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of the settings alone; no data is read, and no network is built.

    Args:
        tree: the config as plain dicts and lists.
    """
    faults = Faults()
    _check_settings(tree, (), faults)
    return list(faults)


def _check_settings(
    tree: Mapping[str, Any], unknown: Iterable[str], faults: Faults
) -> CheckedSettings:
    """Check types, ranges and names.

    Args:
        tree: the config as plain dicts and lists.
        unknown: config groups for which an unknown choice was typed.
        faults: receives the faults.
    """
    tree, map_faults = with_concepts(plain_tree(tree))
    faults.extend(map_faults)
    tree = without_targets(tree, faults)
    config = read_config(tree, faults)
    check_components(tree, faults)
    typed = {*tree, settings.TEACHER_RECIPE} - set(unknown) - sections(faults)
    _run_checks(SETTINGS, config, typed, faults)
    return CheckedSettings(tree, config, typed)


def _run_checks(checks: Checks, config: Config, sound: set[str], faults: Faults) -> None:
    for keys, run_check in checks:
        if keys <= sound:
            run_check(config, faults)


def _texts(value: Any) -> list[str]:
    """Return the texts in a list; other items, and other values, are faults of the config."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _keys(faults: Iterable[Fault]) -> set[str]:
    """Return the top-level keys of faults.

    `teacher.recipe` counts as a key of its own, as faults in it do not keep the teacher from being
    built.
    """
    recipe = settings.TEACHER_RECIPE
    return {
        recipe if fault.where.startswith(recipe) else fault.where.partition(".")[0]
        for fault in faults
    }


def _make_datasets(
    config: Config, data: Data | None, sound: set[str], faults: Faults
) -> Mapping[str, Data]:
    """Return the datasets of the scheme by name; remove keys with faults from `sound`."""
    if data is None:
        return {}
    new_faults = Faults()
    if sound >= {"scheme", "dataset", "stop"}:
        with new_faults.under():
            return make_scheme(config.scheme).datasets(config, data)
    if new_faults:
        faults.extend(new_faults)
        sound -= {*_keys(new_faults), "scheme"}
    return {MAIN: data}


def _choose_hardware(config: Config, sound: set[str], jobs: int, data: Data | None) -> Hardware:
    """Choose the device, precision and threads.

    `auto` replaces a precision or number of threads with a fault, so that faults of the device are
    still found.
    """
    workers = getattr(data.train.feed, "workers", 0) if data is not None else 0
    return choose_hardware(
        config.device,
        config.precision if "precision" in sound else "auto",
        config.threads if "threads" in sound else "auto",
        jobs,
        workers if isinstance(workers, int) else 0,
    )
