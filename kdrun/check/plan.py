"""The plan of a run whose config has no fault."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.config import Config, max_steps_note
from kdrun.core.device import Hardware
from kdrun.dataset.data import Data
from kdrun.run.runner import Plan
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.base import MAIN
from kdrun.stage.outputs import storage_notes
from kdrun.step.plan import all_stages


def make_plan(
    config: Config,
    tree: Mapping[str, Any],
    datasets: Mapping[str, Data],
    hardware: Hardware,
    plugins: list[str],
) -> Plan:
    """Return the plan of a checked config, with its data on the device.

    Args:
        config: typed.
        tree: the same as plain dicts and lists.
        datasets: the splits, by the scheme's names for them.
        hardware: the device, precision and threads that were chosen.
        plugins: the names of the plugins that are installed.
    """
    stages = all_stages(config)
    notes = [*_notes(config, datasets[MAIN], plugins), *storage_notes(stages, datasets)]
    others = [data.notes for data in datasets.values() if data.notes != datasets[MAIN].notes]
    notes += [note for own in others for note in own]
    chosen = {
        "device": str(hardware.device),
        "precision": hardware.precision,
        "threads": hardware.threads,
    }
    on_device = {name: data.to(hardware.device) for name, data in datasets.items()}
    return Plan(config, {**tree, **chosen}, on_device, hardware, stages, notes)


def _notes(config: Config, data: Data, plugins: list[str]) -> list[str]:
    """What the user should know: plugins, fewer labels than samples, fewer epochs than set."""
    notes = [f"plugins: {', '.join(plugins)}"] if plugins else []
    if data.train.labeled is not None:
        labeled = int(data.train.has_label.sum())
        notes.append(
            f"{labeled:,} of {data.train.size:,} training samples are labeled;"
            " what has no teacher learns from these alone, in as many epochs of fewer steps"
        )
    recipes = (config.recipe, teacher_recipe(config))
    short = [max_steps_note(recipe, data.train.steps(recipe.batch_size)) for recipe in recipes]
    return [*notes, *dict.fromkeys(sentence for sentence in short if sentence)]
