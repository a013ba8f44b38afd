"""Images per second of each stage of a run, and what bounds them.

python -m benchmarks.stages [--device cuda] [--epochs 5] [--steps 781]
"""

import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.loops import STAGES, settle_plainly, train_with_kdrun
from benchmarks.machine import describe_machine
from benchmarks.subject import BATCH_SIZE, Subject, make_subject, read_plan
from benchmarks.turns import Enough, stop_after, table
from kdrun.core.types import Batch
from kdrun.dataset.data import Split
from kdrun.stage.base import MAIN

_PROFILED = 50  # steps
_BUSY = 0.9  # share of the time from which on the device, not the host, sets the pace


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8, help="steps of an epoch; CIFAR has 781")
    options = parser.parse_args(words)
    settle_plainly()
    plan = read_plan(
        f"device={options.device}",
        f"precision={options.precision}",
        f"recipe.epochs={options.epochs}",
        steps=options.steps,
    )
    subject = make_subject(plan)
    subject.settle()
    print(describe_machine(subject.device))
    steps = plan.data.train.steps(BATCH_SIZE)
    print(f"{plan.hardware.reason}; {options.epochs} epochs of {steps} steps\n")
    loader = load_only(subject)
    rows = [_row(stage, measure_stage(subject, stage, loader)) for stage in STAGES]
    head = ["stage", "images/s", "loader alone", "compute alone", "device busy", "bound by"]
    print(table(head, rows))


@dataclass(frozen=True)
class Pace:
    """Images per second on the wall.

    Attributes:
        whole: of the stage as it runs.
        loader: of the batches alone.
        compute: of the steps on one batch that lies ready.
        busy: share of a step's time in which a GPU works; None without one.
    """

    whole: float
    loader: float
    compute: float
    busy: float | None

    @property
    def bound(self) -> str:
        """What would have to be faster for the stage to be."""
        if self.loader < self.compute:
            return "loader"
        if self.busy is not None and self.busy < _BUSY:
            return "the host, which starts kernels"
        return "arithmetic"


def measure_stage(subject: Subject, stage: str, loader: float) -> Pace:
    """How fast a stage trains, whole and with one batch only.

    Args:
        subject: what is trained.
        stage: teacher, alone or distill.
        loader: images per second of its batches.
    """
    whole = train_with_kdrun(subject, stage=stage).images_per_second
    ready = _with_one_batch(subject)
    compute = train_with_kdrun(ready, stage=stage).images_per_second
    busy = _busy(ready, stage, compute) if subject.device.type == "cuda" else None
    return Pace(whole, loader, compute, busy)


def load_only(subject: Subject) -> float:
    """Images per second of batches that nobody computes on."""
    hardware, split = subject.plan.hardware, subject.plan.data.train
    for last in (False, True):  # the first epoch warms up
        started, images = time.perf_counter(), 0
        for batch in split.epoch(int(last), int(last), 0, BATCH_SIZE, dtype=hardware.dtype):
            images += len(batch.index)
        _synchronize(subject)
    return images / (time.perf_counter() - started)


@dataclass(frozen=True)
class OneBatch:
    """A split whose epochs are one batch again and again."""

    split: Split

    def __getattr__(self, name: str) -> Any:
        return getattr(self.split, name)

    def epoch(self, batch_size: int, **settings: Any) -> Iterator[Batch]:
        start = settings.pop("start_step", 0)
        batch = next(self.split.epoch(batch_size=batch_size, **settings))
        for _ in range(start, self.split.steps(batch_size)):
            yield batch


def _with_one_batch(subject: Subject) -> Subject:
    data = subject.plan.data
    ready: Any = OneBatch(data.train)
    plan = replace(subject.plan, datasets={MAIN: replace(data, train=ready)})
    return replace(subject, plan=plan)


def _busy(subject: Subject, stage: str, images_per_second: float) -> float:
    """The kernels' own time in some steps, held against the time of these without the profiler."""
    with profile(activities=[ProfilerActivity.CUDA]) as record, suppress(Enough):
        train_with_kdrun(subject, stop_after(_PROFILED), stage)
    kernels = sum(event.self_device_time_total for event in record.key_averages()) / 1e6
    return kernels / (_PROFILED * BATCH_SIZE / images_per_second)


def _synchronize(subject: Subject) -> None:
    if subject.device.type == "cuda":
        torch.cuda.synchronize(subject.device)


def _row(stage: str, pace: Pace) -> list[str]:
    busy = "" if pace.busy is None else f"{pace.busy:.0%}"
    figures = [f"{figure:.0f}" for figure in (pace.whole, pace.loader, pace.compute)]
    return [stage, *figures, busy, pace.bound]


if __name__ == "__main__":
    main()
