"""Training texts without labels: from files, or versions of the labeled ones."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.dataset.location import locate
from kdrun.dataset.splits import SplitSamples
from kdrun.dataset.text.augment import more_texts
from kdrun.dataset.text.sentences import text_files
from kdrun.dataset.text.settings import TextSettings
from kdrun.dataset.text.table_rows import SUFFIXES, TableFormat, read_rows
from kdrun.dataset.text.text_files import read_lines, unpacked_name
from kdrun.dataset.text.texts import Texts, texts_of
from kdrun.dataset.unlabeled import KEY, hide_labels

TextSplit = SplitSamples[Texts]


def add_texts(
    split: TextSplit, settings: TextSettings, classes: tuple[str, ...]
) -> tuple[TextSplit, Tensor | None, int]:
    """Hide labels or add texts as `unlabeled` says, then add versions as `augment` says.

    Returns:
        The split, and (N,) bool: whether each sample has a label, None if all have; and how many
        of the last samples are versions.

    Raises:
        UserError: the files can't be read, or a class keeps no label.
    """
    original, labeled, versions = split, None, 0
    if isinstance(settings.unlabeled, float) and settings.unlabeled:
        split, labeled = hide_labels(split, settings.unlabeled, classes, settings.split_seed)
    elif isinstance(settings.unlabeled, Path):
        more = _read(locate(settings.unlabeled, settings.within), settings)
        split, labeled = _append(split, labeled, more)
    if settings.augment.copies:
        made = more_texts(original.samples, settings.augment, settings.split_seed)
        versions = len(made)
        split, labeled = _append(split, labeled, made)
    return split, labeled, versions


def _append(split: TextSplit, labeled: Tensor | None, more: Texts) -> tuple[TextSplit, Tensor]:
    """Add texts without labels behind those of a split."""
    if (split.samples.second is None) != (more.second is None):
        raise UserError(
            f"{KEY} has single texts, and the dataset has pairs.",
            "  name a table that has both columns",
        )
    count = len(split.ids)
    before = torch.ones(count, dtype=torch.bool) if labeled is None else labeled
    ids = torch.cat([split.ids, int(split.ids.max()) + 1 + torch.arange(len(more))])
    labeled = torch.cat([before, torch.zeros(len(more), dtype=torch.bool)])
    return replace(split, ids=ids, samples=split.samples.join(more)), labeled


def _read(path: Path, settings: TextSettings) -> Texts:
    """Read a file, or all files of a folder: tables, or a text on each line."""
    if not path.exists():
        raise UserError(f"{KEY}: there is no file or folder {str(path)!r}.")
    files = text_files(path) if path.is_dir() else [path]
    parts = [_read_file(file, settings) for file in files]
    if not parts or not sum(map(len, parts)):
        raise UserError(f"{KEY}: {str(path)!r} has no texts.")
    texts = parts[0]
    for part in parts[1:]:
        texts = texts.join(part)
    return texts


def _read_file(path: Path, settings: TextSettings) -> Texts:
    if not unpacked_name(path).lower().endswith(SUFFIXES):
        lines = read_lines(path, settings.encoding)
        return texts_of(lines, [0] * len(lines))
    keys = ("delimiter", "quotes", "columns")  # of dataset=table; other datasets have none
    table = TableFormat(settings.encoding, *(getattr(settings, key, None) for key in keys))
    chosen = getattr(settings, "text", "text")
    names = [chosen] if isinstance(chosen, str) else chosen
    rows = read_rows(path, table)
    values = [tuple(row.get(name, "dataset.text") for row in rows) for name in names]
    second = values[1] if len(values) > 1 else None
    return Texts(values[0], second, torch.zeros(len(rows), dtype=torch.int64))
