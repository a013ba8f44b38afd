"""The verbs that only look, and `resume`."""

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from kdrun.compare.runs import back_to_start, named_run, run_lines, sweep_line
from kdrun.config.choices import as_of_today, conf_folder
from kdrun.core.errors import typed
from kdrun.core.folder import RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.core.sweep import SweepFolder, find_sweeps
from kdrun.core.unknown import unknown_name

_GROUPS = {
    "datasets": "dataset",
    "losses": "loss",
    "schemes": "scheme",
    "recipes": "recipe",
    "compress": "compress",
    "steps": "step",
}


def list_parts(words: Sequence[str], screen: Screen) -> int:
    """`kdrun list [models|datasets|losses|schemes|recipes|compress|steps|runs [FOLDER...]]`."""
    if words[:1] == ["runs"] and len(words) > 1:
        for root in words[1:]:
            _list_runs(screen, Path(root))
        return 0
    kinds: dict[str, Callable[[Screen], None]] = {
        "models": _list_models,
        **{kind: _lister(kind) for kind in _GROUPS},
        "runs": _list_runs,
    }
    unknown = [word for word in words if word not in kinds]
    if unknown:
        raise unknown_name("list", unknown[0], kinds)
    for kind in words or kinds:
        screen.say(kind, style="bold")
        kinds[kind](screen)
    return 0


def show_run(words: Sequence[str], screen: Screen) -> int:
    """`kdrun show RUN`: its table and how it came about; `kdrun show loss=NAME`: its card."""
    from kdrun.cli.cards import is_part, show_part
    from kdrun.compare.run_details import whole_run

    if len(words) == 1 and is_part(words[0]):
        show_part(words[0], screen)
        return 0
    if len(words) == 1 and not RunFolder(Path(words[0])).is_run and run_lines(Path(words[0])):
        for sweep in find_sweeps(Path(words[0])):
            screen.say(f"{sweep_line(sweep)}\ncommand: {sweep.index()['command']}")
        _list_runs(screen, Path(words[0]))
        return 0
    folder = named_run(words, "show")
    for part in whole_run(folder):
        screen.say(part) if isinstance(part, str) else screen.show(part)
    return 0


def resume(words: Sequence[str], screen: Screen) -> int:
    """`kdrun resume RUN`: what is not done yet, exactly as if nothing had happened; or SWEEP."""
    if len(words) == 1 and SweepFolder(Path(words[0])).is_sweep:
        from kdrun.sweep.sweep import resume_sweep

        return resume_sweep(SweepFolder(Path(words[0])), screen)
    folder = named_run(words, "resume")
    if folder.status == "finished":
        screen.say(f"{folder.path} is finished; its table: {typed('show', folder.path)}")
        return 0
    FolderLock(folder.path).acquire(wait=False).release()  # in use? say so before torch loads
    from kdrun.check.preflight import check
    from kdrun.run.runner import run

    folder = back_to_start(folder)
    tree = as_of_today(folder.config())
    run(check(tree), folder.path, screen, shlex.join(["kdrun", *sys.argv[1:]]))
    return 0


def _list_models(screen: Screen) -> None:
    from kdrun import model

    own = _described("model")
    for name, line in own.items():
        screen.say(f"  {name:<22}{line}")
    others = [name for name in model.names() if name not in own]
    screen.say(f"  and torchvision's own: {', '.join(others)}")


def _lister(kind: str) -> Callable[[Screen], None]:
    def show(screen: Screen) -> None:
        found = _described(_GROUPS[kind])
        for name, line in found.items():
            screen.say(f"  {name:<22}{line}")
        if not found:
            screen.say("  none yet")

    return show


def _list_runs(screen: Screen, root: Path = Path("outputs")) -> None:
    lines = list(run_lines(root))
    for line in lines:
        screen.say(f"  {line}")
    if not lines:
        screen.say(f"  none below {str(root)!r}")


def _described(group: str) -> dict[str, str]:
    """Each choice of a group with the first sentence of its file."""
    files = sorted((conf_folder() / group).glob("*.yaml"))
    return {
        path.stem: _first_sentence(path.read_text(encoding="utf-8"))
        for path in files
        if not path.stem.startswith("_")
    }


def _first_sentence(text: str) -> str:
    """Of the comment that a YAML file opens with; the commands in it are no sentences."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("#").strip() for line in comment]
    told = " ".join(line for line in lines if not line.startswith(("kdrun ", "@package")))
    return re.split(r"(?<!et al)\. ", told)[0].rstrip(".")
