"""Texts in tables: CSV, TSV, JSONL and JSON."""

from typing import Annotated, Any

import torch
from pydantic import Field

from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name
from kdrun.dataset.folder_layout import SPLIT_NAMES
from kdrun.dataset.location import locate
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder
from kdrun.dataset.text.labels import number_classes
from kdrun.dataset.text.split_files import split_files
from kdrun.dataset.text.table_rows import SUFFIXES, Row, TableFormat, read_rows
from kdrun.dataset.text.text_files import TextEncoding
from kdrun.dataset.text.texts import Texts

Delimiter = Annotated[str, Field(min_length=1, max_length=1)]
Columns = Annotated[list[str], Field(min_length=1, max_length=2)]


def read_table(
    root: Folder,
    within: Folder,
    encoding: TextEncoding,
    text: str | Columns,
    label: str,
    split: str | None,
    files: dict[str, str] | None,
    columns: list[str] | None,
    delimiter: Delimiter | None,
    quotes: bool | None,
) -> RawDataset[Texts]:
    """Read a table, or a folder with a table for each split.

    Args:
        root: a file, or a folder with train.csv and perhaps others; other suffixes likewise.
        within: the folder in which a relative root is looked for, too.
        encoding: the encoding of the files.
        text: the column of the texts, or the two columns of pairs.
        label: the column of the classes.
        split: the column that names the split of each row; None: the files tell.
        files: the file of each split, if their names don't tell.
        columns: the names of the columns, if the files don't have them in their first line.
        delimiter: stands between fields; None: a comma in CSV, a tab in TSV.
        quotes: whether quotation marks enclose fields; None: in CSV alone.

    Raises:
        UserError: files are missing or damaged, or have no such columns.

    Notes:
        - dataset.augment.copies=20 adds versions of the training texts without labels, which only
          a teacher's answers teach (Tang et al. 2019, arXiv:1903.12136, section 3.3): a word is
          masked with probability mask, or swapped for one drawn from all training words with
          probability swap (the paper keeps its part of speech); then, with probability ngram, only
          1 to longest_ngram words in a row are kept. Versions that are there already are left out.
        - Texts longer than dataset.longest tokens are cut (dataset.cut), and their count is said.
    """
    table = TableFormat(encoding, delimiter, quotes, columns)
    paths = split_files(locate(root, within), files, SUFFIXES)
    rows = {name: read_rows(path, table) for name, path in paths.items()}
    if split is not None:
        rows = _by_column([row for part in rows.values() for row in part], split)
    labels = {name: [_label(row, label) for row in part] for name, part in rows.items()}
    ids = number_classes(labels)
    texts: dict[str, Any] = {
        name: _texts(
            part, [text] if isinstance(text, str) else text, [ids[n] for n in labels[name]]
        )
        for name, part in rows.items()
    }
    return RawDataset(tuple(ids), **texts)


def _texts(rows: list[Row], columns: list[str], labels: list[int]) -> Texts:
    values = [tuple(row.get(column, "dataset.text") for row in rows) for column in columns]
    second = values[1] if len(values) > 1 else None
    return Texts(values[0], second, torch.tensor(labels, dtype=torch.int64))


def _label(row: Row, column: str) -> str:
    value = row.values.get(column)
    # In JSON true and false are labels, too.
    label = str(value).lower() if isinstance(value, bool) else row.get(column, "dataset.label")
    if not label.strip():
        raise UserError(
            f"{row.where}: has no label in the column {column!r}.",
            "  texts without labels belong into a file of their own: dataset.unlabeled=FILE",
        )
    return label


def _by_column(rows: list[Row], column: str) -> dict[str, list[Row]]:
    """Return the rows of each split, as a column tells."""
    names = {name: split for split, aliases in SPLIT_NAMES.items() for name in aliases}
    splits: dict[str, list[Row]] = {}
    for row in rows:
        name = row.get(column, "dataset.split")
        if name.lower() not in names:
            raise UserError(f"{row.where}: {unknown_name('split', name, list(names))}")
        splits.setdefault(names[name.lower()], []).append(row)
    if "train" not in splits:
        raise UserError(
            f"no row is of the training split, says the column {column!r}.",
            "  rows to learn from say train there",
        )
    return splits
