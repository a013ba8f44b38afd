"""Hashes of a dataset's content, by which artefacts know what they were trained on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from torch import Tensor

from kdrun.core.home import in_home
from kdrun.core.reading import open_named
from kdrun.dataset.location import locate
from kdrun.dataset.samples import RawDataset, Samples, spread
from kdrun.dataset.splits import Splits

_HASHED_FILES = 64  # files of a split whose bytes are hashed


def digest(
    classes: Sequence[str],
    splits: Splits[Any],
    mean: Sequence[float],
    std: Sequence[float],
    labeled: Tensor | None = None,
) -> str:
    """Hash all that determines inputs, labels and splits, wherever the files are.

    The content of all samples is hashed, and the names and sizes of files that are streamed.
    """
    state = blake2b(digest_size=20)
    state.update(repr((tuple(classes), tuple(mean), tuple(std))).encode())
    for name, split in sorted(splits.items()):
        state.update(f"{name} {split.source} {len(split.ids)} ".encode())
        state.update(split.ids.numpy().tobytes())
        state.update(split.targets.numpy().tobytes())
        split.samples.hash_into(state)
        split.samples.hash_contents_into(state)
    if labeled is not None:
        state.update(labeled.numpy().tobytes())
    return state.hexdigest()


def origin(node: Mapping[str, Any], raw: RawDataset[Any], splits: Splits[Any]) -> dict[str, Any]:
    """Return which dataset this is and how it is split, independent of later changes to images.

    Args:
        node: the config node.
        raw: the dataset as it was read.
        splits: its splits, before the samples were changed.

    Returns:
        Name and folder of the dataset; a hash of all samples, and one of those that are held out
        for validation and test; and the settings that decide which samples are held out.
    """
    held_out = {name: splits[name].samples for name in ("validation", "test")}
    return {
        "name": node["name"],
        "root": str(_root(node).resolve()),
        "pictures": _hash_samples(raw.splits),
        "held_out": _hash_samples(held_out),
        "split": {key: node[key] for key in ("split_seed", "validation", "test")},
    }


def _root(node: Mapping[str, Any]) -> Path:
    root = in_home(node["root"])
    return locate(root, in_home(node["within"])) if "within" in node else root


def _hash_samples(splits: Mapping[str, Samples]) -> str:
    state = blake2b(digest_size=20)
    for name, samples in splits.items():
        state.update(f"{name} {len(samples)} ".encode())
        samples.hash_into(state)
        # Names and sizes of two datasets can be the same.
        for path in samples.files(spread(len(samples), _HASHED_FILES)):
            # The reader reports an unreadable file with its reason.
            with suppress(OSError), open_named(path) as file:
                state.update(file.read())
    return state.hexdigest()
