"""An export's file or folder: its size, its checksum, and how it is replaced."""

import shutil
from hashlib import sha256
from pathlib import Path

from kdrun.core.reading import digest, open_record


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in _files(path))


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its files' names and checksums."""
    if path.is_file():
        return digest(open_record(path))
    lines = (f"{file.relative_to(path)} {digest(open_record(file))}\n" for file in _files(path))
    return sha256("".join(lines).encode()).hexdigest()


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace(path: Path, target: Path) -> Path:
    """Rename a file or folder, in place of what has the name; return its new path."""
    if path.is_dir():
        remove(target)
    return path.replace(target)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())
