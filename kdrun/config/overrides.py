"""Parses settings of the command line (`key=value`) as Hydra's overrides."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException

from kdrun.config.choices import register_step_list
from kdrun.config.command import Command
from kdrun.core.errors import UserError, first_line
from kdrun.dataset.table import DATASETS
from kdrun.model.table import MODELS

# What runs if a command chooses none of these groups, or `task` alone: embedded data, and networks
# for them.
EMBEDDED_JOB = "experiment=few_labels"
EMBEDDED_TEXT_JOB = "experiment=docstrings"
_GROUPS_OF_A_JOB = {"concepts", "dataset", "experiment", "scheme", "student", "task", "teacher"}
_TABLES = {"dataset": DATASETS, "student": MODELS, "teacher": MODELS}

_FOLDER = re.compile(r"kdrun\.(?:dataset|model)\.(\w+)\.")
_INTERPOLATION = re.compile(r"(\\*)\$\{")
_BEFORE_QUOTE = re.compile(r"(\\+)(?='|$)")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]*")
_LIST = re.compile(r"\[([^\[\]]*)\]")


def implied_settings(command: Command) -> tuple[str, ...]:
    """Return the settings to add to a command.

    A command that chooses no dataset, network or scheme gets the embedded job of its task. One that
    chooses a dataset or a network of another modality than images gets the task of this modality,
    so that what it does not choose fits.
    """
    if command.shows_only and not command.shows_config:
        return ()
    chosen = {re.split("[=@]", setting.lstrip("+~"))[0] for setting in command.settings}
    if not chosen & _GROUPS_OF_A_JOB:
        return (EMBEDDED_JOB,)
    if chosen & _GROUPS_OF_A_JOB == {"task"} and "task=text" in command.settings:
        return (EMBEDDED_TEXT_JOB,)
    modalities = dict.fromkeys(filter(None, map(_modality, command.settings)))
    implies = not chosen & {"task", "experiment"}
    return tuple(f"task={modality}" for modality in modalities) if implies else ()


def _modality(setting: str) -> str:
    """Return the modality of the first dataset or network that a setting chooses.

    It is empty for images, whose task needs no choice, and for other settings.
    """
    group, _, names = setting.partition("=")
    path = _TABLES.get(group, {}).get(names.partition(",")[0], "")
    folder = _FOLDER.match(path)  # a plugin is in a package of its own
    return folder[1] if folder and folder[1] != "image" else ""


def translate_settings(command: Command) -> Command:
    """Translate the settings of a command into settings that Hydra accepts.

    `compress=[a,b]` becomes the name of a choice that runs these steps in order. A path of
    what is there becomes a quoted string if it has characters that mean something to Hydra, such as
    `=` in the folder of a job of a sweep. `~/` is the user's folder, as in a shell.

    Raises:
        UserError: a step is unknown.
    """
    settings = (_translate(setting, command.folders) for setting in command.settings)
    return replace(command, settings=tuple(settings))


def _translate(setting: str, folders: Sequence[str]) -> str:
    key, _, value = setting.partition("=")
    if value.startswith("~/") or _is_odd_path(value):
        return f"{key}={quote(str(Path(value).expanduser()))}"
    if key != "compress":
        return setting

    def name_choice(match: re.Match[str]) -> str:
        steps = [step.strip(" '\"") for step in match[1].split(",") if step.strip()]
        return register_step_list(steps, folders) if steps else "none"

    return f"{key}={_LIST.sub(name_choice, value)}"


def _is_odd_path(value: str) -> bool:
    """Return whether a value is the path of what is there, and would mean something else to Hydra.

    A list or a mapping is one, even where a file has such a name.
    """
    if _PLAIN.fullmatch(value) or (value[:1] in ("[", "{") and "/" not in value):
        return False
    return os.path.exists(value)  # noqa: PTH110 - Path.exists raises an error for a long text


def quote(text: str) -> str:
    """Quote a text, so that Hydra reads it as this string, and interpolates nothing in it.

    Backslashes stand for themselves, except before `${`, before a quote and at the end.
    """
    plain = _INTERPOLATION.sub(r"\1\1\\${", text)
    escaped = _BEFORE_QUOTE.sub(r"\1\1", plain).replace("'", "\\'")
    return f"'{escaped}'"


def typed_value(override: Override) -> str:
    """Return the value of an override as it was typed."""
    return str(override.input_line).partition("=")[2]


def parse_settings(
    settings: Sequence[str], loader: ConfigLoaderImpl | None = None
) -> list[Override]:
    """Parse settings with Hydra's grammar.

    Args:
        settings: `key=value` strings.
        loader: Hydra's config loader, which expands patterns such as `loss=glob(*)`.

    Raises:
        UserError: a string is not a setting.
    """
    try:
        overrides = OverridesParser.create(loader).parse_overrides(list(settings))
    except OverrideParseException as error:
        raise UserError(
            f"{error.override!r} is no setting: {first_line(error)}",
            "  write key=value, e.g. loss.temperature=4; lists as [a,b]; kdrun --help",
        ) from error
    nameless = [override.input_line for override in overrides if not override.key_or_group]
    if nameless:
        raise UserError(f"{nameless[0]!r} is no setting: it names no key.")
    return overrides


def parse_jobs(jobs: Sequence[Sequence[str]]) -> dict[str, Override]:
    """Parse the settings of jobs, each string once; return string -> its override."""
    settings = list(dict.fromkeys(setting for job in jobs for setting in job))
    return dict(zip(settings, parse_settings(settings), strict=True))


def refuse_sweeps(overrides: Sequence[Override], multirun: bool) -> None:
    """Refuse ranges, and several values without `--multirun`.

    Raises:
        UserError: an override is a range, or has several values without `--multirun`.
    """
    several = [str(override.input_line) for override in overrides if override.is_sweep_override()]
    ranges = [str(override.input_line) for override in overrides if override.is_interval_sweep()]
    if ranges:
        raise UserError(
            f"{ranges[0]!r} is a range, which has infinitely many values.",
            f"  to search it: kdrun search {shlex.join(ranges)}",
        )
    if several and not multirun:
        raise UserError(
            f"{several[0]!r} holds several values.",
            f"  to run each of them: kdrun -m {' '.join(several)}",
        )


def expand_sweep(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """Return the settings of each run of a sweep: every combination of values.

    Args:
        overrides: settings of the sweep; the combinations are those of Hydra's basic sweeper.
    """
    batches = BasicSweeper.split_arguments(list(overrides), max_batch_size=None)
    return [tuple(run) for batch in batches for run in batch]
