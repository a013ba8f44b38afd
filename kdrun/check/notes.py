"""Notes for the user on a run whose config has no fault."""

from collections.abc import Mapping, Sequence

from kdrun.core.config import Config, max_steps_note
from kdrun.dataset.data import Data
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.base import MAIN, Stage
from kdrun.stage.outputs import storage_notes
from kdrun.stage.train import Train


def plan_notes(
    config: Config,
    stages: Sequence[Stage],
    datasets: Mapping[str, Data],
    plugins: Sequence[str],
) -> list[str]:
    """Return the notes, each a sentence that the user reads before the run starts.

    They are about: the plugins; the datasets; training samples without labels; epochs that
    `recipe.max_steps` cuts off; warm-ups that are longer than the run; the teacher's stored
    outputs.

    Args:
        config: the config of the run.
        stages: the stages of the run.
        datasets: the datasets that the stages use, by name.
        plugins: the names of the plugins that are installed.
    """
    main_data = datasets[MAIN]
    notes = [f"plugins: {', '.join(plugins)}"] if plugins else []
    notes += dict.fromkeys(note for data in datasets.values() for note in data.notes)
    if main_data.train.labeled is not None:
        labeled = int(main_data.train.has_label.sum())
        steps = (
            "repeated, so that all networks train for equal steps"
            if config.recipe.repeat_labeled
            else "for as many epochs, but fewer steps in each"
        )
        notes.append(
            f"{labeled:,} of {main_data.train.size:,} training samples are labeled;"
            f" a network without a teacher learns from these alone, {steps}"
        )
    recipes = (config.recipe, teacher_recipe(config))
    step_notes = [
        max_steps_note(recipe, main_data.train.steps(recipe.batch_size)) for recipe in recipes
    ]
    notes += dict.fromkeys(note for note in step_notes if note)
    notes += [
        f"warning: {stage.info.name}: {sentence}"
        for stage in stages
        if isinstance(stage, Train)
        for sentence in stage.shortened(datasets[stage.info.data])
    ]
    return notes + storage_notes(stages, datasets)
