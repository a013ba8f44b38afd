"""What is written down of a dataset: a hash of its content, and a sentence about it."""

from collections.abc import Sequence
from hashlib import blake2b

from kdrun.dataset.reshape import nbytes
from kdrun.dataset.splits import Parts


def digest(
    classes: Sequence[str], parts: Parts, mean: Sequence[float], std: Sequence[float]
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
    return state.hexdigest()


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
