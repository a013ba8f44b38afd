"""Finds the file of each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name
from kdrun.dataset.folder_layout import SPLIT_NAMES, is_visible, quote_names
from kdrun.dataset.text.text_files import unpacked_name

NAMES = tuple(SPLIT_NAMES)


def split_files(
    root: Path, files: Mapping[str, str] | None, suffixes: Sequence[str]
) -> dict[str, Path]:
    """Return the file of each split, by the split's name.

    A folder without a file for the test has the validation file as its test split.

    Args:
        root: a file with all samples, or a folder with train.SUFFIX and perhaps others.
        files: split -> file, relative to the root; None: their names tell.
        suffixes: the suffixes of the files that are looked for.

    Raises:
        UserError: there are no such files, or two of one split.
    """
    if files is not None:
        return _given(root, files)
    if root.is_file():
        return {"train": root}
    if not root.is_dir():
        raise UserError(
            f"there is no file or folder {str(root)!r}.", "  dataset.root is where the texts are"
        )
    candidates = [path for path in sorted(root.iterdir()) if _is_one(path, suffixes)]
    found: dict[str, Path] = {}
    for split, names in SPLIT_NAMES.items():
        paths = [path for path in candidates if _stem(path) in names]
        if len(paths) > 1:
            named = quote_names([path.name for path in paths], " and ")
            raise UserError(
                f"the folder {str(root)!r} has {named}, which both name the {split} split.",
                "  dataset.files={train: FILE, test: FILE} says which ones are read",
            )
        if paths:
            found[split] = paths[0]
    if "train" in found:
        if "test" not in found and "validation" in found:
            found["test"] = found.pop("validation")
        return found
    if len(candidates) == 1:
        return {"train": candidates[0]}
    present = quote_names([path.name for path in candidates]) if candidates else "no file of texts"
    raise UserError(
        f"the folder {str(root)!r} has {present}, and no training file.",
        f"  call it train{suffixes[-1]}, or dataset.files={{train: FILE, test: FILE}}",
    )


def _given(root: Path, files: Mapping[str, str]) -> dict[str, Path]:
    for name in files:
        if name not in NAMES:
            raise unknown_name("split", name, NAMES)
    if "train" not in files:
        raise UserError(
            "dataset.files names no training file.", "  dataset.files={train: FILE, test: FILE}"
        )
    return {name: root / file for name, file in files.items()}


def _is_one(path: Path, suffixes: Sequence[str]) -> bool:
    suffix = Path(unpacked_name(path)).suffix.lower()
    return path.is_file() and is_visible(path.name) and suffix in suffixes


def _stem(path: Path) -> str:
    return Path(unpacked_name(path)).stem.lower()
