"""Reads the rows of CSV, TSV, JSONL and JSON files."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdrun.core import limits
from kdrun.core.errors import UserError
from kdrun.core.unknown import suggest
from kdrun.dataset.text.text_files import check_characters, read_text, unpacked_name

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")


@dataclass(frozen=True)
class TableFormat:
    """How files of tables are read.

    Attributes:
        encoding: the encoding of the files.
        delimiter: stands between the fields of CSV and TSV; None: a comma, or a tab in TSV.
        quotes: whether quotation marks enclose fields; None: they do in CSV, and not in TSV.
        columns: the names of the columns, if the first line of CSV and TSV does not have them.
    """

    encoding: str
    delimiter: str | None
    quotes: bool | None
    columns: Sequence[str] | None


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Attributes:
        values: name of each column -> value.
        path: the file.
        number: its line, or its position in a JSON list, from 1.
    """

    values: dict[str, Any]
    path: Path
    number: int

    def get(self, column: str, key: str) -> str:
        """Return the value of a column as text.

        Args:
            column: the name of the column.
            key: the config key that names it, for messages.

        Raises:
            UserError: the row has no such column, or its value is neither text nor a number.
        """
        if column not in self.values:
            hint = suggest(column, list(self.values))
            raise UserError(f"{self.where}: has no column {column!r}.", f"  {key}: {hint}")
        value = self.values[column]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UserError(f"{self.where}: {column!r} is {_kind(value)}, and no text.")
        text = str(value)
        check_characters(text, self.where)
        return text

    @property
    def where(self) -> str:
        """The file and line, for messages."""
        unit = "entry" if unpacked_name(self.path).lower().endswith(".json") else "line"
        return f"{str(self.path)!r}, {unit} {self.number}"


def read_rows(path: Path, table: TableFormat) -> list[Row]:
    """Return the rows of a file, whose suffix tells its format.

    Raises:
        UserError: the file can't be read, or has a damaged row.
    """
    suffix = Path(unpacked_name(path)).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{str(path)!r} is no table.", f"  tables are {known}, also .gz and .xz")
    text = read_text(path, table.encoding)
    if suffix == ".json":
        rows = list(_read_json(path, text))
    elif suffix == ".jsonl":
        rows = list(_read_json_lines(path, text))
    else:
        rows = list(_read_fields(path, text, table, suffix == ".tsv"))
    if not rows:
        raise UserError(f"{str(path)!r} has no rows.", "  it needs a line for each sample")
    return rows


def _read_fields(path: Path, text: str, table: TableFormat, is_tsv: bool) -> Iterator[Row]:
    """Yield the rows of CSV and TSV."""
    has_quotes = not is_tsv if table.quotes is None else table.quotes
    csv.field_size_limit(min(limits.TEXT, 2**31 - 1))
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=table.delimiter or ("\t" if is_tsv else ","),
        quoting=csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE,
        strict=True,
    )
    columns = list(table.columns) if table.columns is not None else None
    start = 1
    try:
        for fields in reader:
            where = f"{str(path)!r}, line {start}"
            if columns is None:
                columns = fields
                _check_columns(columns, where)
            elif fields:
                if len(fields) != len(columns):
                    raise UserError(
                        f"{where}: has {len(fields)} fields, and there are {len(columns)} columns"
                        f" ({', '.join(columns)}).",
                        "  quote fields that have the delimiter, or see dataset.delimiter and"
                        " dataset.quotes",
                    )
                yield Row(dict(zip(columns, fields, strict=True)), path, start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{str(path)!r}, line {start}: {error}.",
            "  if quotation marks are part of the text, dataset.quotes=false",
        ) from error


def _check_columns(columns: Sequence[str], where: str) -> None:
    repeated = next((name for name in columns if list(columns).count(name) > 1), None)
    if repeated is not None:
        raise UserError(
            f"{where}: has two columns called {repeated!r}.",
            "  rename one; for files without names of columns, dataset.columns=[label, text]",
        )


def _read_json_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _json_row(path, number, _parse(line, f"{str(path)!r}, line {number}"))


def _read_json(path: Path, text: str) -> Iterator[Row]:
    entries = _parse(text, repr(str(path)))
    if not isinstance(entries, list):
        raise UserError(f"{str(path)!r} is {_kind(entries)}, and no list of mappings.")
    for number, entry in enumerate(entries, 1):
        yield _json_row(path, number, entry)


def _json_row(path: Path, number: int, value: Any) -> Row:
    row = Row(value if isinstance(value, dict) else {}, path, number)
    if not isinstance(value, dict):
        raise UserError(f"{row.where}: is {_kind(value)}, and no mapping of columns to values.")
    return row


def _parse(text: str, where: str) -> Any:
    """Return the value of a JSON text; of two values of one name neither is to be preferred."""

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _check_columns([name for name, _ in pairs], where)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=mapping)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is no JSON: {error}.") from error


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
