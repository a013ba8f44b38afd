"""Finds the weights of a network in a checkpoint file of another project."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.stage.checkpoint_file import CheckpointFile, printable, read_checkpoint
from kdrun.stage.state_dict import MAX_LISTED, differences, fill

# Names of modules in other projects -> their names in torchvision's networks and kdrun's: residual
# networks for CIFAR, such as the ResNet-50 of Tian et al. 2020 (arXiv:1910.10699).
_SYNONYMS = {"shortcut": "downsample", "linear": "fc"}


@dataclass(frozen=True)
class _FoundWeights:
    """Weights in a checkpoint file, under the names that the network may have for them.

    Attributes:
        place: where they are: the dotted keys of mappings, and a prefix of names.
        weights: name -> tensor.
        synonyms: names of modules in the file -> their names in the network.
        beside: names of the tensors in the same mapping that do not have the prefix.
        count: how many names are names of the network.
    """

    place: str
    weights: Mapping[str, Tensor]
    synonyms: Mapping[str, str]
    beside: Sequence[str]
    count: int


def load_checkpoint(network: nn.Module, path: Path, key: str | None, name: str) -> list[str]:
    """Load the weights in a checkpoint file, which must have the keys and shapes of the network.

    Keys may have a prefix, such as `module.` or `_orig_mod.`, or the names of another project.

    Args:
        network: its last layer has an output for each class of the dataset.
        path: the file.
        key: where in the file the weights are; None to look everywhere.
        name: the name of the network, for messages.

    Returns:
        A sentence for the user on what was taken, unless the file is a state dict of such keys.

    Raises:
        UserError: the file can't be read, or several weights in it fit, or none.
    """
    file, expected = read_checkpoint(path), network.state_dict()
    found = _choose(_candidates(file, expected, key), expected, path, name)
    fill(network, found.weights, name, path, found.place)
    return _notes(file, found)


def _candidates(
    file: CheckpointFile, expected: Iterable[str], key: str | None
) -> list[_FoundWeights]:
    """Return weights in all places of a file, those with the most names of the network first.

    Args:
        file: the file.
        expected: the names of the network.
        key: the place; places that are neither there nor below are left out.

    Raises:
        UserError: no weights are there.
    """
    found = [
        weights
        for keys, tensors in file.state_dicts.items()
        for synonyms in _namings(tensors)
        for weights in _find_below(keys, tensors, synonyms, frozenset(expected))
        if key is None or weights.place == key or (key and weights.place.startswith(f"{key}."))
    ]
    if not found:
        raise UserError(
            f"{str(file.path)!r} holds no weights under {key!r}.",
            f"  there are weights under {_listed(map(repr, file.state_dicts))}",
        )
    return sorted(found, key=lambda weights: (-weights.count, -len(weights.weights)))


def _namings(tensors: Iterable[str]) -> list[Mapping[str, str]]:
    """Return which modules to rename: none, and those that have other names elsewhere."""
    modules = {module for name in tensors for module in name.split(".")}
    synonyms = {old: new for old, new in _SYNONYMS.items() if old in modules}
    return [{}, synonyms] if synonyms else [{}]


def _find_below(
    keys: str, tensors: Mapping[str, Tensor], synonyms: Mapping[str, str], expected: frozenset[str]
) -> list[_FoundWeights]:
    """Return the weights below each prefix after which some names are names of the network.

    Args:
        keys: the dotted keys of a mapping in the file.
        tensors: the tensors in the mapping.
        synonyms: names of modules -> names that replace them.
        expected: the names of the network.
    """
    counts, names = Counter({"": 0}), dict[str, str]()
    for name in tensors:
        modules = [synonyms.get(module, module) for module in name.split(".")]
        names[name] = ".".join(modules)
        starts = range(len(modules))
        counts.update(
            "".join(f"{module}." for module in modules[:start])
            for start in starts
            if ".".join(modules[start:]) in expected
        )
    if len(set(names.values())) < len(names):  # the file has both names, of different modules
        return []
    return [
        _FoundWeights(
            place=".".join(filter(None, [keys, prefix.rstrip(".")])),
            weights={
                new.removeprefix(prefix): tensors[name]
                for name, new in names.items()
                if new.startswith(prefix)
            },
            synonyms=synonyms,
            beside=[name for name, new in names.items() if not new.startswith(prefix)],
            count=count,
        )
        for prefix, count in counts.items()
    ]


def _choose(
    candidates: Sequence[_FoundWeights], expected: Mapping[str, Tensor], path: Path, name: str
) -> _FoundWeights:
    """Return the weights that fit the network; the first candidate if none fit.

    Raises:
        UserError: the weights in several places fit.
    """
    fitting = [found for found in candidates if not differences(expected, found.weights)]
    if len(fitting) > 1:
        places = [found.place for found in fitting]
        raise UserError(
            f"{str(path)!r} holds several weights of {name!r}: {_listed(map(repr, places))}.",
            "  choose: "
            + " or ".join(f"teacher.checkpoint_key={place or repr('')}" for place in places),
        )
    return (fitting or candidates)[0]


def _notes(file: CheckpointFile, found: _FoundWeights) -> list[str]:
    notes = [f"the weights under {found.place!r} are taken"] if found.place else []
    notes += [f"{old!r} is read as {new!r}" for old, new in found.synonyms.items()]
    unread = [
        *map(repr, found.beside),
        *(f"tensors under {place!r}" for place in _other_places(file, found.place)),
        *(f"objects of {printable(name)}" for name in file.classes),
    ]
    if unread:
        notes.append(f"not read: {_listed(unread)}")
    return [f"{str(file.path)!r}: {'; '.join(notes)}"] if notes else []


def _other_places(file: CheckpointFile, taken: str) -> list[str]:
    """Return the keys below which a file has tensors beside those taken, such as averages of them.

    Args:
        file: the file.
        taken: the place of the weights that are taken.
    """
    inside = [key for key in file.state_dicts if not key or f"{taken}.".startswith(f"{key}.")]
    mapping = max(inside, key=len, default="")
    first = mapping.partition(".")[0]
    tops = {key: key.partition(".")[0] for key in file.state_dicts if key not in ("", mapping)}
    return list(dict.fromkeys(key if top == first else top for key, top in tops.items()))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
