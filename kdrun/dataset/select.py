"""Keep some of a dataset's classes, or join them into new ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault
from kdrun.core.unknown import unknown_name

Reference = int | str


def choose_classes(
    classes: Sequence[str],
    keep: Sequence[Reference] | None,
    groups: Mapping[Any, Sequence[Reference]] | None,
    where: str = "dataset.class_map",
) -> tuple[tuple[str, ...], Tensor]:
    """The classes that were asked for, in the order asked for.

    Args:
        classes: names of the set's own classes, in the order of their labels.
        keep: classes to keep, by name or index; None for all.
        groups: new classes -> those of the set that they join; what is in none is left out.
        where: the groups' key in the config, for the messages.

    Returns:
        The new names, and (C,) new labels of the old ones, -1 for those left out.

    Raises:
        ConfigError: classes that are not there or are named twice, or fewer than two left.
    """
    faults: list[Fault] = []
    kept = _find_all("dataset.classes", keep, classes, faults)
    joined = {classes[label]: [label] for label in kept}
    if groups is not None:
        joined = {
            str(name): _find_all(f"{where}.{name}", members, classes, faults)
            for name, members in groups.items()
        }
        members = [label for labels in joined.values() for label in labels]
        faults += _twice(where, members, classes)
    if not faults:
        joined = {name: [label for label in old if label in kept] for name, old in joined.items()}
        joined = {name: old for name, old in joined.items() if old}
        faults += _too_few(joined)
    if faults:
        raise ConfigError(faults)
    table = torch.full((len(classes),), -1)
    for label, old in enumerate(joined.values()):
        table[old] = label
    return tuple(joined), table


def _find_all(
    where: str, wanted: Sequence[Reference] | None, classes: Sequence[str], faults: list[Fault]
) -> list[int]:
    """The labels of the classes that are there; a fault for each that isn't or comes again."""
    if wanted is None:
        return list(range(len(classes)))
    found = [_find(reference, classes) for reference in wanted]
    labels = [answer for answer in found if isinstance(answer, int)]
    faults += [Fault(where, answer) for answer in found if isinstance(answer, str)]
    faults += _twice(where, labels, classes)
    return labels


def _find(reference: Reference, classes: Sequence[str]) -> int | str:
    """A class's label, or the rest of a sentence that says why there is none.

    A number that is a class's name means that class: a folder called 7 need not be the eighth.
    """
    if str(reference) in classes:
        return classes.index(str(reference))
    if isinstance(reference, int):
        if 0 <= reference < len(classes):
            return reference
        return f"no class has the index {reference}; there are 0 to {len(classes) - 1}"
    return str(unknown_name("class", reference, classes))


def _twice(where: str, labels: list[int], classes: Sequence[str]) -> list[Fault]:
    again = [label for label in sorted(set(labels)) if labels.count(label) > 1]
    return [Fault(where, f"has the class {classes[label]!r} twice") for label in again]


def _too_few(joined: Mapping[str, list[int]]) -> list[Fault]:
    if len(joined) >= 2:
        return []
    left = f"only the class {next(iter(joined))!r}" if joined else "no class"
    return [Fault("dataset", f"{left} is left, and telling apart takes two or more")]
