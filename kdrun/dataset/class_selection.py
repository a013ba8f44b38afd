"""Keep some of a dataset's classes, or merge them into new ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import Fault
from kdrun.core.faults import Faults
from kdrun.core.unknown import unknown_name
from kdrun.dataset.settings import ClassReference

_MAX_NAMED = 10  # classes that a sentence names


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
    faults = Faults()
    if keep is not None:
        faults.extend(_reference_faults("dataset.classes", keep, classes))
    kept = range(len(classes)) if keep is None else _labels(keep, classes)
    merged = {classes[label]: [label] for label in kept}
    if groups is not None:
        for name, members in groups.items():
            faults.extend(_reference_faults(f"{where}.{name}", members, classes))
        merged = {str(name): _labels(members, classes) for name, members in groups.items()}
        all_labels = [label for labels in merged.values() for label in labels]
        faults.extend(_repetition_faults(where, all_labels, classes))
    if not faults:
        merged = {
            name: [label for label in labels if label in kept] for name, labels in merged.items()
        }
        merged = {name: labels for name, labels in merged.items() if labels}
        if len(merged) < 2:
            remain = f"only the class {next(iter(merged))!r} is" if merged else "no class is"
            key = where if keep is None and groups is not None else "dataset"
            faults.add(key, f"{remain} left, and classification takes two or more")
    faults.raise_if_any()
    table = torch.full((len(classes),), -1)
    for label, old_labels in enumerate(merged.values()):
        table[old_labels] = label
    return tuple(merged), table


def describe_classes(classes: Sequence[str], kind: str = "classes") -> str:
    """Return a sentence with the number of classes, or of another kind, and the first names."""
    more = ", ..." if classes[_MAX_NAMED:] else ""
    return f"{len(classes)} {kind}: {', '.join(classes[:_MAX_NAMED])}{more}"


def _labels(references: Sequence[ClassReference], classes: Sequence[str]) -> list[int]:
    """Return the labels of the classes that exist."""
    labels = (_find(reference, classes) for reference in references)
    return [label for label in labels if label is not None]


def _reference_faults(
    where: str, references: Sequence[ClassReference], classes: Sequence[str]
) -> list[Fault]:
    """Return a fault for each unknown or repeated class."""
    unknown = [
        Fault(where, _describe_unknown(reference, classes))
        for reference in references
        if _find(reference, classes) is None
    ]
    return [*unknown, *_repetition_faults(where, _labels(references, classes), classes)]


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
