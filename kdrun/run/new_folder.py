"""Makes the folder of a new run or sweep."""

from datetime import datetime
from pathlib import Path

from kdrun.config.compose import ComposedRun
from kdrun.core.config import slug_of
from kdrun.core.disk import check_writable, folder_error
from kdrun.core.environment_values import names_for_values
from kdrun.core.errors import Fault, RunInUse, UserError, shell_command
from kdrun.core.folder import find_runs
from kdrun.core.lock import FolderLock
from kdrun.core.rights import PRIVATE
from kdrun.core.sweep import find_sweeps


def new_folder(job: ComposedRun, multirun: bool) -> Path:
    """Make a new folder for a run or a sweep, or the folder that the command names.

    A name that is made from the time gets a number if such a folder exists already.
    """
    if job.folder is not None:
        _make(Path(job.folder), _where(job))
        return Path(job.folder)
    tree = job.tree
    now = datetime.now()
    root = Path(tree["output_root"])
    if multirun:
        return _reserve(root / "sweeps" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}")
    parts = [tree[part]["name"] for part in ("teacher", "student", "loss", "scheme")]
    slug = names_for_values(tree["name"] or "") or slug_of(parts, tree["compress"]["steps"])
    return _reserve(root / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{slug}")


def take(lock: FolderLock) -> FolderLock:
    """Lock a folder that `new_folder` returned, before anything is written there.

    Raises:
        RunInUse: a command that was started at the same time has begun there, or is done already.
    """
    lock.acquire(wait=False)
    if _content(lock.folder):
        lock.release()
        raise RunInUse(
            f"{str(lock.folder)!r} was taken by a command that was started at the same time.",
            "  name another folder",
        )
    return lock


def faults_of_folder(job: ComposedRun) -> list[Fault]:
    """Return the faults of the folder that the command names, if it names one."""
    folder = job.folder
    if folder is None:
        return []
    try:
        content = _content(Path(folder))
    except OSError as error:  # such as a name that is too long
        return [Fault(_where(job), f"{folder!r} can't be read: {error.strerror}")]
    if content:
        remedy = f"go on with it: {shell_command('resume', folder)}"
        return [
            Fault("", f"{folder!r} holds a {content} already.\n  {remedy}, or name another folder")
        ]
    return check_writable(_where(job), folder)


def shown(path: Path) -> Path:
    """Return the path relative to the current folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _content(folder: Path) -> str:
    """Return what a folder holds: `sweep`, `run`, or an empty text."""
    return "sweep" if find_sweeps(folder) else "run" if find_runs(folder) else ""


def _where(job: ComposedRun) -> str:
    """Return the config key that names the folder."""
    sweep = any(word.startswith("hydra.sweep.dir=") for word in job.settings)
    return "hydra.sweep.dir" if sweep else "hydra.run.dir"


def _reserve(base: Path) -> Path:
    """Make a folder that does not exist yet, with a number added if needed."""
    for number in range(1, 1000):
        path = base if number == 1 else base.with_name(f"{base.name}-{number}")
        if _make(path, "output_root"):
            return path
    raise UserError(f"{str(base)!r} is taken a thousand times.")


def _make(path: Path, where: str) -> bool:
    """Make a folder that is the user's alone; return False if it exists already.

    Raises:
        UserError, DiskFull: it can't be made. The message names `where`, the folder's config key.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(PRIVATE)
    except FileExistsError:
        return False
    except OSError as error:
        raise folder_error(
            error,
            f"{where}: {str(path)!r} can't be made: {error.strerror}.",
            f"  choose another folder: {where}=FOLDER",
        ) from error
    return True
