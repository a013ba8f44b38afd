"""Peak memory of training: kdrun and the loop written by hand, each in a process of its own.

python -m benchmarks.memory [--rounds 3] [--steps 8]
"""

import json
import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.timing import StopLoop, spread, stop_after, table

PLAIN, FP32, BF16 = "plain loop, fp32", "kdrun, fp32", "kdrun, bf16"
TEST_SIZE = 45_000  # images in memory beside the training images, as with CIFAR
Peaks = Mapping[str, Sequence[Mapping[str, float]]]


def main(words: Sequence[str] | None = None) -> None:
    """Print the table; with `--only NAME` the peak memory of one process, as JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", choices=(PLAIN, FP32, BF16))
    options = parser.parse_args(words)
    if options.only:
        print(json.dumps(_measure(options.only, options.steps)))
        return
    peaks: dict[str, list[dict[str, float]]] = {PLAIN: [], FP32: [], BF16: []}
    for _ in range(options.rounds):
        for name, measured in peaks.items():
            measured.append(_measure_in_process(name, options.steps))
    print(describe_machine())
    print(f"{options.rounds} rounds of {options.steps} steps of 64 images; resident memory in MB\n")
    print(_report(peaks))


def _report(peaks: Peaks) -> str:
    rows = []
    plain_peak = median(process["peak"] for process in peaks[PLAIN])
    for name, measured in peaks.items():
        ratio = median(process["peak"] for process in measured) / plain_peak
        rows.append(
            [
                name,
                spread([process["start"] for process in measured], ".0f"),
                spread([process["peak"] - process["start"] for process in measured], ".0f"),
                spread([process["peak"] for process in measured], ".0f"),
                f"{(ratio - 1) * 100:+.1f} %",
                "" if name == PLAIN else "+5 %",
            ]
        )
    head = ["process", "imports and data", "training", "peak", "over plain", "at most"]
    return table(head, rows)


def _measure_in_process(name: str, steps: int) -> dict[str, float]:
    command = ["-m", "benchmarks.memory", "--only", name, "--steps", str(steps)]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(name: str, steps: int) -> dict[str, float]:
    """Peak memory of this process in MB: before training starts, and at its end."""
    train = _prepare_plain(steps) if name == PLAIN else _prepare_kdrun(name, steps)
    start = _peak()
    train()
    return {"start": start, "peak": _peak()}


def _prepare_plain(steps: int) -> Callable[[], object]:
    """The loop written by hand with as many images; this process loads nothing else."""
    import numpy as np
    import torch

    from benchmarks.plain_loop import PlainDataset, train_plain_loop
    from kdrun.model.image.resnet import CifarResNet

    torch.set_num_threads(1)
    random, count = np.random.default_rng(0), 64 * steps + TEST_SIZE
    images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    dataset = PlainDataset(images, np.arange(count) % 100, (0.5,) * 3, (0.25,) * 3)
    teacher, student = (CifarResNet(depth, [16, 16, 32, 64], 100, 3) for depth in (56, 20))

    def train() -> None:
        with suppress(StopLoop):
            train_plain_loop(teacher, student, dataset, torch.device("cpu"), stop_after(steps))

    return train


def _prepare_kdrun(name: str, steps: int) -> Callable[[], object]:
    """One epoch of kdrun's engine, with validation and checkpoint."""
    from benchmarks.loops import train_with_kdrun
    from benchmarks.workload import make_workload, read_plan

    precision = "bf16" if name == BF16 else "fp32"
    words = (f"precision={precision}", "recipe.epochs=1", f"dataset.test_size={TEST_SIZE}")
    workload = make_workload(read_plan("device=cpu", *words, steps=steps), trained=False)
    workload.apply_settings()
    return partial(train_with_kdrun, workload)


def _peak() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
