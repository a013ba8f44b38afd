"""What the user should know of a run whose config has no fault."""

from collections.abc import Mapping, Sequence

from kdrun.core.config import Config, max_steps_note
from kdrun.dataset.data import Data
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.base import MAIN, Stage
from kdrun.stage.outputs import storage_notes


def plan_notes(
    config: Config,
    stages: Sequence[Stage],
    datasets: Mapping[str, Data],
    plugins: Sequence[str],
) -> list[str]:
    """Return sentences on plugins, missing labels, fewer epochs than set, stored outputs, data.

    Args:
        config: of the run.
        stages: of the run.
        datasets: the splits, by the scheme's names for them.
        plugins: the names of the plugins that are installed.
    """
    main = datasets[MAIN]
    notes = [f"plugins: {', '.join(plugins)}"] if plugins else []
    if main.train.labeled is not None:
        labeled = int(main.train.has_label.sum())
        notes.append(
            f"{labeled:,} of {main.train.size:,} training samples are labeled;"
            " what has no teacher learns from these alone, in as many epochs of fewer steps"
        )
    recipes = (config.recipe, teacher_recipe(config))
    short = [max_steps_note(recipe, main.train.steps(recipe.batch_size)) for recipe in recipes]
    notes += dict.fromkeys(sentence for sentence in short if sentence)
    notes += storage_notes(stages, datasets)
    others = [data.notes for data in datasets.values() if data.notes != main.notes]
    return notes + [note for data_notes in others for note in data_notes]
