"""Splits the command line after `kdrun` into options of Hydra and settings."""

import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.utils import get_args_parser

from kdrun.config.verbs import no_such_verb
from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name

_MODES = ("run", "multirun", "cfg", "info", "shell_completion")

# Options of Hydra that kdrun refuses -> what to do instead.
_REFUSED = {
    "config_path": "a folder of your own beside conf/: --config-dir FOLDER",
    "config_name": "keys of your own: experiment/NAME.yaml in a folder given by --config-dir",
    "experimental_rerun": "to go on with a run: kdrun resume RUN",
}


@dataclass(frozen=True)
class Command:
    """A command line without a verb.

    Attributes:
        options: options of Hydra, each followed by its value.
        settings: `key=value` strings.
        typed: the settings that the user typed; of a sweep that is resumed, those typed once more.
        multirun: whether several values mean several runs.
        folders: more folders with config groups, from `--config-dir` and `hydra.searchpath`.
        shows_only: whether Hydra shows the config or help, and nothing is run.
        shows_config: whether Hydra shows the config that the settings compose.
        cfg: the part of the config that `--cfg` shows: `job`, `hydra` or `all`.
        package: `--package`: the dotted key of the only node that is shown.
        resolve: whether `--resolve` shows the values of interpolations.
    """

    options: tuple[str, ...]
    settings: tuple[str, ...]
    typed: tuple[str, ...]
    multirun: bool
    folders: tuple[str, ...]
    shows_only: bool
    shows_config: bool
    cfg: str | None
    package: str | None
    resolve: bool


def read_command(words: Sequence[str]) -> Command:
    """Split a command line; options and settings may be in any order.

    Args:
        words: the arguments of the command.

    Raises:
        UserError: an option is unknown or refused, or a word is neither a verb nor a setting.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        options, unknown = parser.parse_known_intermixed_args(list(words))
    except ArgumentError as error:
        raise UserError(f"{error}.", "  the options: kdrun --help, kdrun --hydra-help") from error
    _refuse_options(parser, unknown, [key for key in _REFUSED if getattr(options, key)])
    modes = [key for key in _MODES if getattr(options, key)]
    if len(modes) > 1:
        raise UserError(f"{' and '.join(map(_option, modes))} exclude each other.")
    settings = options.overrides
    if not options.shell_completion:
        _refuse_verbs(settings)
    rest = list(words)
    for setting in settings:
        rest.remove(setting)
    shows_config = bool(options.cfg or options.info)
    return Command(
        options=tuple(rest),
        settings=tuple(settings),
        typed=tuple(settings),
        multirun=options.multirun,
        folders=_config_folders(options.config_dir, settings),
        shows_only=bool(shows_config or options.shell_completion or options.hydra_help),
        shows_config=shows_config,
        cfg=options.cfg,
        package=options.package,
        resolve=options.resolve,
    )


def listed(settings: Sequence[str], key: str) -> list[str]:
    """Return the names in the list that is set last for a key: `key=[a,b]`; none if it is not set.

    Args:
        settings: `key=value` strings.
        key: a config key whose value is a list of names.
    """
    values = [setting.partition("=")[2] for setting in settings if setting.startswith(f"{key}=")]
    names = re.split(r"[\[\],]", values[-1]) if values else []  # several lists in a sweep
    return [name.strip(" '\"") for name in names if name.strip()]


def _config_folders(config_dir: str | None, settings: Sequence[str]) -> tuple[str, ...]:
    """Return the folders of `--config-dir` and of `hydra.searchpath`, but no packages of it."""
    paths = listed(settings, "hydra.searchpath")
    folders = [path.removeprefix("file://") for path in paths if not path.startswith("pkg://")]
    return tuple([config_dir, *folders] if config_dir else folders)


def _refuse_options(parser: ArgumentParser, unknown: Sequence[str], refused: Sequence[str]) -> None:
    for key in refused:
        raise UserError(f"{_option(key)} is not an option of kdrun.", f"  {_REFUSED[key]}")
    for option in unknown:
        options = [name for action in parser._actions for name in action.option_strings]
        raise unknown_name("option", option, options, "kdrun --hydra-help")


def _option(key: str) -> str:
    """Return the option as the user types it."""
    return f"--{key.replace('_', '-')}"


def _refuse_verbs(settings: Sequence[str]) -> None:
    """Refuse words without `=`, which are unknown verbs, except `~key`, which deletes a key."""
    for setting in settings:
        if "=" not in setting and not setting.startswith("~"):
            raise no_such_verb(setting)
