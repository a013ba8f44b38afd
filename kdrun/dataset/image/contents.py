"""The content of image files, hashed once: a start that finds them unchanged reads none of them."""

import os
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from kdrun.core.reading import open_named
from kdrun.dataset.image.image_files import Unreadable, UnreadableImages
from kdrun.dataset.image.threads import in_threads

_SIZE = 20  # bytes of a hash


def hash_contents(paths: list[Path]) -> str:
    """Return a hash of the bytes of files, in their order.

    It is remembered in the user's cache folder until a file's size, inode or time of change is
    another. Otherwise each start would read the whole dataset.

    Raises:
        UnreadableImages: a file can't be read.
    """
    key = blake2b(digest_size=_SIZE)
    for stamp in in_threads(lambda position: _stamp(paths[position]), range(len(paths))):
        key.update(stamp)
    remembered = _cache_folder() / key.hexdigest()
    with suppress(OSError):
        text = remembered.read_text()
        if len(text) == 2 * _SIZE:  # else another process is writing it
            return text
    content = blake2b(digest_size=_SIZE)
    for file_hash in in_threads(lambda position: hash_file(paths[position]), range(len(paths))):
        content.update(file_hash)
    with suppress(OSError):  # the cache is read-only or full
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_text(content.hexdigest())
    return content.hexdigest()


def hash_file(path: Path) -> bytes:
    """Return a hash of a file's bytes.

    Raises:
        UnreadableImages: the file can't be read.
    """
    try:
        with open_named(path) as file:
            return blake2b(file.read(), digest_size=_SIZE).digest()
    except OSError as error:
        raise UnreadableImages([Unreadable(path, str(error))]) from error


def _stamp(path: Path) -> bytes:
    """Return what changes when a file is replaced or written to."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableImages([Unreadable(path, str(error))]) from error
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return f"{status.st_dev} {status.st_ino} {status.st_size} {times}\n".encode()


def _cache_folder() -> Path:
    """Return the folder of the remembered hashes, as the XDG Base Directory Specification says."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # users of some containers have no home
        base = Path(tempfile.gettempdir())
    return base / "kdrun" / "contents"
