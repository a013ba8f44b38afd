"""`kdrun show`: prints a run, the runs of a sweep, or the description of a component."""

from collections.abc import Sequence
from pathlib import Path

from kdrun.cli.list import list_runs, split_plugins
from kdrun.compare.runs import named_run, run_lines, sweep_line
from kdrun.config.loader import find_plugins
from kdrun.core.control_characters import one_line
from kdrun.core.folder import RunFolder
from kdrun.core.plugins import install_plugins
from kdrun.core.screen import Screen
from kdrun.core.sweep import find_sweeps


def show(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun show RUN|SWEEP|KIND=NAME` and return the exit status.

    Raises:
        UserError: no run, sweep or component has this name.
    """
    from kdrun.cli.cards import names_card, show_card
    from kdrun.compare.run_details import run_details

    plugins, words = split_plugins(words)
    if len(words) == 1 and names_card(words[0]):
        install_plugins(find_plugins(plugins))
        show_card(words[0], screen)
    elif len(words) == 1 and _holds_runs(Path(words[0])):
        for sweep in find_sweeps(Path(words[0])):
            screen.say(f"{sweep_line(sweep)}\ncommand: {sweep.index()['command']}")
        list_runs(screen, Path(words[0]))
    else:
        for block in run_details(named_run(words, "show")):
            screen.say(one_line(block)) if isinstance(block, str) else screen.show(block)
    return 0


def _holds_runs(path: Path) -> bool:
    """Return whether a path contains runs, like a sweep folder, but is not a run."""
    return not RunFolder(path).is_run and bool(list(run_lines(path)))
