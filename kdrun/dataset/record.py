"""What is written down of a dataset: a hash of its content, and a sentence about it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from torch import Tensor

from kdrun.dataset.image.pictures import OnDisk, Pictures, RawDataset
from kdrun.dataset.image.reshape import nbytes
from kdrun.dataset.splits import Parts

_READ = 64  # files whose content is looked at


def digest(
    classes: Sequence[str],
    parts: Parts,
    mean: Sequence[float],
    std: Sequence[float],
    labeled: Tensor | None = None,
) -> str:
    """Hash of all that determines inputs, labels and splits, wherever the files lie.

    Pixels count where they are in memory; of streamed files it is names and sizes.
    """
    state = blake2b(digest_size=20)
    state.update(repr((tuple(classes), tuple(mean), tuple(std))).encode())
    for purpose, part in sorted(parts.items()):
        state.update(f"{purpose} {part.name} {len(part.ids)} ".encode())
        state.update(part.ids.numpy().tobytes())
        state.update(part.targets.numpy().tobytes())
        part.pictures.hash_into(state)
    if labeled is not None:
        state.update(labeled.numpy().tobytes())
    return state.hexdigest()


def origin(node: Mapping[str, Any], raw: RawDataset, parts: Parts) -> dict[str, Any]:
    """What tells a set and its split from others, whatever size its pictures are brought to.

    Args:
        node: the config node.
        raw: the set as it was read.
        parts: its split, before anything was done to the pictures.

    Returns:
        Name and folder; hashes of all pictures, and of those that are held out for validation
        and test; and the settings that decide which these are.
    """
    return {
        "name": node["name"],
        "root": str(Path(node["root"]).expanduser().resolve()),
        "pictures": _hash_of(raw.parts),
        "held_out": _hash_of({part: parts[part].pictures for part in ("validation", "test")}),
        "split": {key: node[key] for key in ("split_seed", "validation", "test")},
    }


def _hash_of(parts: Mapping[str, Pictures]) -> str:
    state = blake2b(digest_size=20)
    for name, pictures in parts.items():
        state.update(f"{name} {len(pictures)} ".encode())
        pictures.hash_into(state)
        for path in _some_files(pictures):
            with suppress(OSError):  # whoever reads the picture says so better
                state.update(path.read_bytes())
    return state.hexdigest()


def _some_files(pictures: Pictures) -> list[Path]:
    """A few, evenly spread: numbered pictures of one size differ from others' in content alone."""
    if not isinstance(pictures, OnDisk):
        return []
    chosen = min(_READ, len(pictures))
    return [pictures.path(at * len(pictures) // chosen) for at in range(chosen)]


def describe(parts: Parts, shape: tuple[int, int, int], in_memory: bool, split_seed: int) -> str:
    """How many samples of what size, split how, and where they are."""
    height, width, channels = shape
    counts = ", ".join(
        f"{len(part.ids):,} for {purpose}"
        + ("" if part.name == purpose else f" (carved with split_seed {split_seed})")
        for purpose, part in parts.items()
        if purpose != "train"
    )
    size = sum(nbytes(part.pictures) for part in parts.values())
    where = f"in memory ({size / 1e6:.0f} MB)" if in_memory else "streamed"
    return (
        f"{len(parts['train'].ids):,} images of {width}x{height}x{channels} for training,"
        f" {counts}, {where}"
    )
