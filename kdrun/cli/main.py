"""The `kdrun` command: runs a verb such as `kdrun list`, or a run or sweep with the given settings.

Slow imports happen only when they are needed, so that `--help` is instant.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kdrun import __version__
from kdrun.config.verbs import VERBS, help_of, no_such_verb
from kdrun.core.atomic import explain_full_disk
from kdrun.core.screen import Screen, report

_HELP = ("help", "--help", "-h")


def main() -> None:
    """Run the command line in `sys.argv` and exit with its status."""
    words = sys.argv[1:]
    screen = Screen()
    try:
        with explain_full_disk(Path.cwd()):
            status = _dispatch(words, screen)
    except BrokenPipeError:  # the program that reads our output has ended, as in `| head`
        sys.stderr.close()
        status = 141
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the user gets a sentence
        status = report(error, screen, debug="debug=true" in words)
    sys.exit(status)


def _dispatch(words: Sequence[str], screen: Screen) -> int:
    """Print help or the version, or run a verb or settings; return the exit status."""
    if words[:1] == ["help"] or {"--help", "-h"} & set(words):
        screen.say(_help([word for word in words if word not in _HELP]))
        return 0
    if {"--version", "-V"} & set(words):
        screen.say(f"kdrun {__version__}")
        return 0
    if words and words[0] in VERBS:
        module, _, name = VERBS[words[0]].target.partition(":")
        return getattr(import_module(module), name)(words[1:], screen)
    from kdrun.cli.launch import launch

    return launch(words, screen)


def _help(words: Sequence[str]) -> str:
    """Return the help of the verb that is the first word, or the general help without a verb."""
    from kdrun.cli.help import HELP

    if not words or "=" in words[0] or words[0].startswith(("-", "~")):
        return HELP
    if words[0] not in VERBS:
        raise no_such_verb(words[0])
    return help_of(words[0])
