"""Numbers the classes of texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.core.errors import UserError
from kdrun.core.unknown import nearest
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.text.texts import Texts, texts_of

Rows = Sequence[tuple[str, str]]  # texts with the names of their classes


def dataset_of(splits: Mapping[str, Rows], notes: Sequence[str] = ()) -> RawDataset[Texts]:
    """Number the classes of the training split, and return the dataset.

    Args:
        splits: train, and perhaps validation and test.
        notes: sentences for the user.

    Raises:
        UserError: another split has a class that the training split does not have.
    """
    ids = number_classes({name: [label for _, label in rows] for name, rows in splits.items()})
    texts: dict[str, Any] = {
        name: texts_of([text for text, _ in rows], [ids[label] for _, label in rows])
        for name, rows in splits.items()
    }
    return RawDataset(tuple(ids), **texts, notes=tuple(notes))


def number_classes(splits: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return each class of the training split -> its label; numbers in their order.

    Args:
        splits: name of a split -> the class of each sample.

    Raises:
        UserError: another split has a class that the training split does not have.
    """
    classes = sorted(set(splits["train"]), key=_order)
    ids = {label: number for number, label in enumerate(classes)}
    for name, labels in splits.items():
        for position, label in enumerate(labels):
            if label not in ids:
                raise _only_there(name, position, label, classes)
    return ids


def _only_there(split: str, position: int, label: str, classes: Sequence[str]) -> UserError:
    close = nearest(label, classes)
    hint = f"nearest: {', '.join(close)}" if close else "put some into the training split"
    return UserError(
        f"only the {split} split has the class {label!r}, first in its sample {position}: nothing"
        " can be learned of it.",
        f"  {hint}; or take it out",
    )


def _order(label: str) -> tuple[bool, int, str]:
    """Sort whole numbers by their value, before names."""
    is_number = label.removeprefix("-").isdecimal() and label.isascii()
    return not is_number, int(label) if is_number else 0, label
