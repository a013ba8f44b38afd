"""The `kdrun` command: its own verbs, and Hydra's entry for everything else.

Nothing heavy is imported before it is known to be needed: `--help` stays instant.
"""

import sys
from collections.abc import Callable, Sequence

from kdrun import __version__
from kdrun.core.screen import Screen, report

# Words of Hydra that only look at the config; they never start a run.
_LOOKING = ("--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--hydra-help")


def main() -> None:
    """Run the command line in `sys.argv` and exit with its status."""
    words = sys.argv[1:]
    screen = Screen()
    try:
        status = _dispatch(words, screen)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stderr.close()
        status = 141
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the user gets a sentence
        status = report(error, screen, debug="debug=true" in words)
    sys.exit(status)


def _dispatch(words: Sequence[str], screen: Screen) -> int:
    if words and words[0] in ("--help", "-h", "help"):
        from kdrun.help import HELP

        screen.say(HELP)
        return 0
    if words and words[0] in ("--version", "-V"):
        screen.say(f"kdrun {__version__}")
        return 0
    verb = _verb(words[0]) if words else None
    if verb is not None:
        return verb(words[1:], screen)
    if any(word.split("=")[0] in _LOOKING for word in words):
        from kdrun.launch import look

        return look(words)
    from kdrun.launch import launch

    return launch(words, screen)


def _verb(word: str) -> Callable[[Sequence[str], Screen], int] | None:
    if word not in ("list", "layers", "resume", "show"):
        return None
    from kdrun import verbs

    return {
        "list": verbs.list_parts,
        "layers": verbs.show_layers,
        "resume": verbs.resume,
        "show": verbs.show_run,
    }[word]
