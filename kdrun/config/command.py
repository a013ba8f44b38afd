"""The words after `kdrun` taken apart: Hydra's options, and settings."""

from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.utils import get_args_parser

from kdrun.config.verbs import no_such_verb
from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name

_MODES = ("run", "multirun", "cfg", "info", "shell_completion")

# Options of Hydra that have no place here -> what to do instead.
_REFUSED = {
    "config_path": "a folder of your own beside conf/: --config-dir FOLDER",
    "config_name": "keys of your own: experiment/NAME.yaml in a folder given by --config-dir",
    "experimental_rerun": "to go on with a run: kdrun resume RUN",
}


@dataclass(frozen=True)
class Command:
    """What was typed.

    Attributes:
        options: Hydra's options with their values, before all settings.
        settings: key=value words.
        multirun: whether several values mean several runs.
        folders: more folders with config groups.
        looks: whether Hydra shows something and runs nothing.
        composes: whether what it shows is the config of these settings.
    """

    options: tuple[str, ...]
    settings: tuple[str, ...]
    multirun: bool
    folders: tuple[str, ...]
    looks: bool
    composes: bool


def read_command(words: Sequence[str]) -> Command:
    """Take the words apart, in whatever order they stand.

    Raises:
        UserError: an option that isn't there, or a word that is neither verb nor setting.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        found, strange = parser.parse_known_intermixed_args(list(words))
    except ArgumentError as error:
        raise UserError(f"{error}.", "  the options: kdrun --help, kdrun --hydra-help") from error
    _refuse_options(parser, strange, [key for key in _REFUSED if getattr(found, key)])
    asked = [key for key in _MODES if getattr(found, key)]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(map(_option, asked))} exclude each other.")
    _refuse_bare([] if found.shell_completion else found.overrides)
    options = list(words)
    for word in found.overrides:
        options.remove(word)
    return Command(
        options=tuple(options),
        settings=tuple(found.overrides),
        multirun=found.multirun,
        folders=(found.config_dir,) if found.config_dir else (),
        looks=bool(found.cfg or found.info or found.shell_completion or found.hydra_help),
        composes=bool(found.cfg or found.info),
    )


def _refuse_options(parser: ArgumentParser, strange: list[str], refused: list[str]) -> None:
    for key in refused:
        raise UserError(f"{_option(key)} is no option of kdrun.", f"  {_REFUSED[key]}")
    for word in strange:
        known = [name for action in parser._actions for name in action.option_strings]
        raise unknown_name("option", word, known, "kdrun --hydra-help")


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _refuse_bare(settings: Sequence[str]) -> None:
    """A word without `=` is a verb that isn't there; `~key` alone does without."""
    for word in settings:
        if "=" not in word and not word.startswith("~"):
            raise no_such_verb(word)
