"""Speed of augmentation: kdrun's in whole batches, and one image at a time with Pillow.

python -m benchmarks.augmentation [--rounds 5] [--steps 50]
"""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.loops import make_plain_dataset, use_pytorch_defaults
from benchmarks.machine import describe_machine
from benchmarks.timing import Contender, Tick, make_clock, ratios, spread, table, time_in_turns
from benchmarks.workload import BATCH_SIZE, read_plan
from kdrun.dataset.data import Split

PLAIN, BATCHED = "one image at a time", "whole batches"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(words)
    use_pytorch_defaults()
    data = read_plan("device=cpu", steps=options.steps).data
    loader = DataLoader(make_plain_dataset(data), BATCH_SIZE, shuffle=True, drop_last=True)
    sources = {PLAIN: partial(iter, loader), BATCHED: partial(_epoch, data.train)}
    contenders = [
        Contender(name, partial(_exhaust, source), use_pytorch_defaults)
        for name, source in sources.items()
    ]
    clock = make_clock(torch.device("cpu"))
    times = time_in_turns(contenders, options.rounds, options.steps, clock)
    print(describe_machine())
    print(f"{options.rounds} rounds of {options.steps} batches of {BATCH_SIZE} images 3x32x32:")
    print("crop with 4 pixels of padding, flip, normalize, collate\n")
    rows = [
        [
            name,
            spread([second * 1e3 for second in seconds]),
            f"{BATCH_SIZE / median(seconds):.0f}",
            spread(ratios(times, PLAIN, name), ".1f"),
            "5" if name == BATCHED else "",
        ]
        for name, seconds in times.items()
    ]
    print(table(["augmentation", "ms a batch", "images/s", "times as fast", "at least"], rows))


def _epoch(split: Split) -> Iterator[Any]:
    return split.epoch(epoch=0, view=0, seed=0, batch_size=BATCH_SIZE)


def _exhaust(source: Callable[[], Iterator[Any]], tick: Tick) -> None:
    while True:
        for _ in source():
            tick()


if __name__ == "__main__":
    main()
