"""The `kdrun` command: its own verbs, and Hydra's entry for everything else.

Nothing heavy is imported before it is known to be needed: `--help` stays instant.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from kdrun import __version__
from kdrun.core.screen import Screen, report

_VERBS = {
    "compare": "kdrun.cli.compare:compare_runs",
    "export": "kdrun.cli.export:export_run",
    "list": "kdrun.cli.verbs:list_parts",
    "layers": "kdrun.cli.layers:show_layers",
    "report": "kdrun.cli.report:report_runs",
    "resume": "kdrun.cli.verbs:resume",
    "search": "kdrun.cli.search:search",
    "sensitivity": "kdrun.cli.sensitivity:show_sensitivity",
    "show": "kdrun.cli.verbs:show_run",
}


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
    if {"--help", "-h"} & set(words) or words[:1] == ["help"]:
        from kdrun.cli.help import HELP

        screen.say(HELP)
        return 0
    if {"--version", "-V"} & set(words):
        screen.say(f"kdrun {__version__}")
        return 0
    if words and words[0] in _VERBS:
        module, _, name = _VERBS[words[0]].partition(":")
        return getattr(import_module(module), name)(words[1:], screen)
    from kdrun.cli.launch import launch

    return launch(words, screen)
