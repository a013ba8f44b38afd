"""Keep some of a dataset's classes, or merge them into new ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault
from kdrun.core.unknown import unknown_name

ClassReference = int | str  # the index or the name of a class


def choose_classes(
    classes: Sequence[str],
    keep: Sequence[ClassReference] | None,
    groups: Mapping[Any, Sequence[ClassReference]] | None,
    where: str = "dataset.class_map",
) -> tuple[tuple[str, ...], Tensor]:
    """Number the classes that a config keeps or merges, in the order of the config.

    Args:
        classes: names of the dataset's classes, in the order of their labels.
        keep: classes to keep; None for all.
        groups: name of a new class -> the dataset's classes that it merges; classes of no group
            are left out.
        where: the config key of the groups, for messages.

    Returns:
        The names of the new classes, and (C,) the new label of each of the dataset's classes, -1
        for classes that are left out.

    Raises:
        ConfigError: classes that don't exist or are named twice, or fewer than two new classes.
    """
    faults: list[Fault] = []
    kept = _find_all("dataset.classes", keep, classes, faults)
    merged = {classes[label]: [label] for label in kept}
    if groups is not None:
        merged = {
            str(name): _find_all(f"{where}.{name}", members, classes, faults)
            for name, members in groups.items()
        }
        members = [label for labels in merged.values() for label in labels]
        faults += _repetition_faults(where, members, classes)
    if not faults:
        merged = {
            name: [label for label in labels if label in kept] for name, labels in merged.items()
        }
        merged = {name: labels for name, labels in merged.items() if labels}
        faults += _count_faults(merged)
    if faults:
        raise ConfigError(faults)
    table = torch.full((len(classes),), -1)
    for label, old_labels in enumerate(merged.values()):
        table[old_labels] = label
    return tuple(merged), table


def _find_all(
    where: str,
    references: Sequence[ClassReference] | None,
    classes: Sequence[str],
    faults: list[Fault],
) -> list[int]:
    """Return the labels of some classes; add a fault for each unknown or repeated class."""
    if references is None:
        return list(range(len(classes)))
    labels = []
    for reference in references:
        label = _find(reference, classes)
        if label is None:
            faults.append(Fault(where, _describe_unknown(reference, classes)))
        else:
            labels.append(label)
    faults += _repetition_faults(where, labels, classes)
    return labels


def _find(reference: ClassReference, classes: Sequence[str]) -> int | None:
    """Return the label of a class; None if there is no such class.

    A number that is also the name of a class means this class, as a folder 7 need not be the 8th.
    """
    if str(reference) in classes:
        return classes.index(str(reference))
    in_range = isinstance(reference, int) and 0 <= reference < len(classes)
    return int(reference) if in_range else None


def _describe_unknown(reference: ClassReference, classes: Sequence[str]) -> str:
    if isinstance(reference, int):
        return f"no class has the index {reference}; there are 0 to {len(classes) - 1}"
    return str(unknown_name("class", reference, classes))


def _repetition_faults(where: str, labels: list[int], classes: Sequence[str]) -> list[Fault]:
    repeated = [label for label in sorted(set(labels)) if labels.count(label) > 1]
    return [Fault(where, f"has the class {classes[label]!r} twice") for label in repeated]


def _count_faults(merged: Mapping[str, list[int]]) -> list[Fault]:
    if len(merged) >= 2:
        return []
    remain = f"only the class {next(iter(merged))!r} is" if merged else "no class is"
    return [Fault("dataset", f"{remain} left, and classification takes two or more")]
