"""Texts in files of a split each, whose lines begin with the class."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import PositiveInt

from kdrun.core.errors import UserError
from kdrun.dataset.location import locate
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder
from kdrun.dataset.text.labels import Rows, dataset_of
from kdrun.dataset.text.split_files import split_files
from kdrun.dataset.text.text_files import TextEncoding, read_lines
from kdrun.dataset.text.texts import Texts

_SUFFIXES = ("", ".txt", ".label")


def read_lines_with_labels(
    root: Folder,
    within: Folder,
    encoding: TextEncoding,
    files: dict[str, str] | None,
    levels: PositiveInt | None,
) -> RawDataset[Texts]:
    """Read lines such as `DESC:manner How can I find a list ?`: a class, a space, and the text.

    Args:
        root: a file, or a folder with a file for each split.
        within: the folder in which a relative root is looked for, too.
        encoding: the encoding of the files.
        files: the file of each split, if their names don't tell.
        levels: how many parts of a class count, of those that colons separate; None: all.

    Raises:
        UserError: files are missing or damaged, or a line has no class.

    Notes:
        - dataset.augment.copies=20 adds versions of the training texts without labels, which only
          a teacher's answers teach (Tang et al. 2019, arXiv:1903.12136, section 3.3): a word is
          masked with probability mask, or swapped for one drawn from all training words with
          probability swap (the paper keeps its part of speech); then, with probability ngram, only
          1 to longest_ngram words in a row are kept. Versions that are there already are left out.
        - Texts longer than dataset.longest tokens are cut (dataset.cut), and their count is said.
    """
    paths = split_files(locate(root, within), files, _SUFFIXES)
    return dataset_of({name: _read(path, encoding, levels) for name, path in paths.items()})


def _read(path: Path, encoding: str, levels: int | None) -> Rows:
    rows: list[tuple[str, str]] = []
    for number, line in enumerate(read_lines(path, encoding), 1):
        label, _, text = line.partition(" ")
        if not label:
            raise UserError(
                f"{str(path)!r}, line {number}: begins with no class.",
                "  each line is a class, a space, and the text",
            )
        rows.append((text, _upper_levels(label.split(":"), levels)))
    return rows


def _upper_levels(parts: Sequence[str], levels: int | None) -> str:
    return ":".join(parts[:levels])
