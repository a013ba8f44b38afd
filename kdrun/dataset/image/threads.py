"""Work on many image files at once, in threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from kdrun.dataset.image.image_files import UnreadableImages

_CHUNK = 16  # images that a thread takes at once: handing over one takes as long as decoding


def in_threads(work: Callable[[int], Any], positions: Sequence[int]) -> list[Any]:
    """Apply `work` to each position in threads, as many as torch uses.

    Threads help, because Pillow decodes without holding Python's lock.

    Raises:
        UnreadableImages: names all images that can't be read.
    """

    def attempt(position: int) -> Any:
        try:
            return work(position)
        except UnreadableImages as error:
            return error.with_traceback(None)  # its stack frames would keep the images alive

    results = list(_map_in_threads(attempt, positions))
    errors = [result for result in results if isinstance(result, UnreadableImages)]
    if errors:
        raise UnreadableImages([reason for error in errors for reason in error.reasons])
    return results


def _map_in_threads(work: Callable[[int], Any], positions: Sequence[int]) -> Iterator[Any]:
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, positions)
        return
    chunks = [positions[start : start + _CHUNK] for start in range(0, len(positions), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        for results in pool.map(lambda chunk: [work(position) for position in chunk], chunks):
            yield from results
