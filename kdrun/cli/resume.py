"""`kdrun resume`: continues an interrupted run, or runs the unfinished jobs of a sweep."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kdrun.cli.named_plugins import split_plugins
from kdrun.compare.runs import back_to_start, named_run
from kdrun.config.loader import find_plugins
from kdrun.config.older_runs import with_new_keys
from kdrun.core.errors import shell_command
from kdrun.core.lock import FolderLock
from kdrun.core.plugins import plugins_of_config
from kdrun.core.rights import TRUST, refuse_shared
from kdrun.core.screen import Screen
from kdrun.core.sweep import SweepFolder


def resume(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun resume RUN|SWEEP [KEY=VALUE...] [--trust]` and return the exit status.

    Raises:
        UserError: the word names neither a run nor a sweep, or other users could have changed it.
        RunInUse: another process runs the run or sweep.
    """
    trusts, words = TRUST in words, [word for word in words if word != TRUST]
    plugins, words = split_plugins(words)
    find_plugins(plugins)  # allows the run or sweep to import them
    if words and SweepFolder(Path(words[0])).is_sweep:
        from kdrun.sweep.runner import resume_sweep

        if not trusts:
            refuse_shared(Path(words[0]))
        return resume_sweep(SweepFolder(Path(words[0])), words[1:], screen)
    folder = named_run(words, "resume")
    if folder.status == "finished":
        screen.say(f"{folder.path} is finished; its table: {shell_command('show', folder.path)}")
        return 0
    if not trusts:
        refuse_shared(folder.path)
    plugins_of_config(folder.config().get("plugins") or [])  # refuses those not named
    FolderLock(folder.path).acquire(wait=False).release()  # report RunInUse before torch loads
    from kdrun.check.preflight import check
    from kdrun.run.runner import run

    folder = back_to_start(folder)
    tree = with_new_keys(folder.config())
    run(check(tree), folder.path, screen, shlex.join(["kdrun", *sys.argv[1:]]))
    return 0
