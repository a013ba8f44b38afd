"""Folders of Hugging Face networks: named by a path, or by an id whose files were downloaded."""

import re
from importlib.util import find_spec
from pathlib import Path

from kdrun.core.errors import UserError
from kdrun.core.home import in_home

_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def hub_folder(path: str) -> Path:
    """Return the folder of a network; the hub itself is never asked.

    Args:
        path: a folder, or an id of the hub that is in the local cache: `bert-base-uncased`.

    Raises:
        UserError: there is neither.
    """
    folder = in_home(path)
    if folder.is_dir():
        return folder
    cached = _cached(path) if _ID.fullmatch(path) else None
    if cached is None:
        raise UserError(
            f"there is no folder {path!r}, and no network of this id was downloaded.",
            f"  name a folder with config.json, or download it once: hf download {path}",
        )
    return cached


def _cached(name: str) -> Path | None:
    """Return the folder of an id in the cache of Hugging Face's programs."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None
