"""Texts in files of a class each: a line a text, or a file a text."""

from pathlib import Path

from kdrun.core.errors import UserError
from kdrun.dataset.folder_layout import class_folders, is_visible, split_folders
from kdrun.dataset.location import locate
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder
from kdrun.dataset.text.labels import Rows, dataset_of
from kdrun.dataset.text.text_files import (
    TextEncoding,
    read_lines,
    read_text,
    unpacked_name,
)
from kdrun.dataset.text.texts import Texts

_DOCUMENTS = ("readme", "license", "licence")  # files about the data, in lower case


def read_sentences(root: Folder, within: Folder, encoding: TextEncoding) -> RawDataset[Texts]:
    """Read a folder with a file for each class, or with a folder of files for each class.

    It may have a folder for each split: train/ and perhaps validation/ and test/.

    Raises:
        UserError: there are no files of two classes, or a file can't be read.

    Notes:
        - dataset.augment.copies=20 adds versions of the training texts without labels, which only
          a teacher's answers teach (Tang et al. 2019, arXiv:1903.12136, section 3.3): a word is
          masked with probability mask, or swapped for one drawn from all training words with
          probability swap (the paper keeps its part of speech); then, with probability ngram, only
          1 to longest_ngram words in a row are kept. Versions that are there already are left out.
        - Texts longer than dataset.longest tokens are cut (dataset.cut), and their count is said.
    """
    root = locate(root, within)
    if not root.is_dir():
        raise UserError(
            f"there is no folder {str(root)!r} with texts.",
            "  dataset.root is the folder with a file or a folder for each class",
        )
    folders = split_folders(root)
    if "train" not in folders:
        folders = {"train": root}
    elif "test" not in folders and "validation" in folders:
        folders["test"] = folders.pop("validation")
    return dataset_of({name: _read_split(folder, encoding) for name, folder in folders.items()})


def text_files(folder: Path) -> list[Path]:
    """Return the files in a folder, sorted, without hidden ones and those about the data."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and is_visible(path.name) and path.stem.lower() not in _DOCUMENTS
    )


def _read_split(folder: Path, encoding: str) -> Rows:
    classes, files = class_folders(folder), text_files(folder)
    if classes and files:
        raise UserError(
            f"{str(folder)!r} has both files and folders: {files[0].name!r}, {classes[0]!r}.",
            "  give each class a file with a text on each line, or a folder with a file for each"
            " text",
        )
    if classes:
        return [
            (read_text(path, encoding).removesuffix("\n"), name)
            for name in classes
            for path in text_files(folder / name)
        ]
    names = _class_names(files)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UserError(
            f"{str(folder)!r} has several files of the class {repeated!r}.",
            "  give each class one file, or a folder with a file for each text",
        )
    return [
        (line, name)
        for name, path in zip(names, files, strict=True)
        for line in read_lines(path, encoding)
    ]


def _class_names(files: list[Path]) -> list[str]:
    """Return the class of each file: its name, without `.txt`, `.gz` and `.xz`.

    Of names that differ in their last part alone, such as reviews.neg and reviews.pos, it is this
    part.
    """
    names = [unpacked_name(path).removesuffix(".txt") for path in files]
    starts = {name.rpartition(".")[0] for name in names}
    if len(names) > 1 and len(starts) == 1 and starts != {""}:
        return [name.rpartition(".")[2] for name in names]
    return names
