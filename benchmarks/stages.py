"""Images per second of each stage of a run, and what limits them.

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

from benchmarks.loops import STAGES, train_with_kdrun, use_pytorch_defaults
from benchmarks.machine import describe_machine
from benchmarks.timing import StopLoop, stop_after, table
from benchmarks.workload import BATCH_SIZE, Workload, make_workload, read_plan
from kdrun.core.types import Batch
from kdrun.dataset.data import Split
from kdrun.stage.base import MAIN

_PROFILED = 50  # steps
_BUSY = 0.9  # a device that is busy for a larger share of the time is the limit


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8, help="steps of an epoch; CIFAR has 781")
    options = parser.parse_args(words)
    use_pytorch_defaults()
    plan = read_plan(
        f"device={options.device}",
        f"precision={options.precision}",
        f"recipe.epochs={options.epochs}",
        steps=options.steps,
    )
    workload = make_workload(plan)
    workload.apply_settings()
    print(describe_machine(workload.device))
    steps = plan.data.train.steps(BATCH_SIZE)
    print(f"{plan.hardware.reason}; {options.epochs} epochs of {steps} steps\n")
    loader = load_only(workload)
    rows = [_row(stage, measure_stage(workload, stage, loader)) for stage in STAGES]
    head = ["stage", "images/s", "loader alone", "compute alone", "device busy", "bound by"]
    print(table(head, rows))


@dataclass(frozen=True)
class Pace:
    """Speeds of a stage, in images per second of wall time.

    Attributes:
        stage: the stage as it runs.
        loader: reading batches without computing on them.
        compute: computing on one batch that is read once.
        busy: share of a step's time in which the GPU works; None without a GPU.
    """

    stage: float
    loader: float
    compute: float
    busy: float | None

    @property
    def bound(self) -> str:
        """What limits the speed of the stage."""
        if self.loader < self.compute:
            return "loader"
        if self.busy is not None and self.busy < _BUSY:
            return "the host, which starts kernels"
        return "arithmetic"


def measure_stage(workload: Workload, stage: str, loader: float) -> Pace:
    """Measure how fast a stage trains, as it runs and on one batch.

    Args:
        workload: config and networks.
        stage: teacher, alone or distill.
        loader: images per second of reading batches.
    """
    speed = train_with_kdrun(workload, stage=stage).images_per_second
    ready = _with_one_batch(workload)
    compute = train_with_kdrun(ready, stage=stage).images_per_second
    busy = _busy(ready, stage, compute) if workload.device.type == "cuda" else None
    return Pace(speed, loader, compute, busy)


def load_only(workload: Workload) -> float:
    """Images per second of reading batches without computing on them."""
    hardware, split = workload.plan.hardware, workload.plan.data.train
    for last in (False, True):  # the first epoch warms up
        started, images = time.perf_counter(), 0
        for batch in split.epoch(int(last), int(last), 0, BATCH_SIZE, dtype=hardware.dtype):
            images += len(batch.index)
        _synchronize(workload)
    return images / (time.perf_counter() - started)


@dataclass(frozen=True)
class OneBatch:
    """A split whose epochs repeat one batch."""

    split: Split

    def __getattr__(self, name: str) -> Any:
        return getattr(self.split, name)

    def epoch(self, batch_size: int, **settings: Any) -> Iterator[Batch]:
        start = settings.pop("start_step", 0)
        batch = next(self.split.epoch(batch_size=batch_size, **settings))
        for _ in range(start, self.split.steps(batch_size)):
            yield batch


def _with_one_batch(workload: Workload) -> Workload:
    data = workload.plan.data
    ready: Any = OneBatch(data.train)
    plan = replace(workload.plan, datasets={MAIN: replace(data, train=ready)})
    return replace(workload, plan=plan)


def _busy(workload: Workload, stage: str, images_per_second: float) -> float:
    """Time of the kernels in some steps, as a share of the time of these steps without profiler."""
    with profile(activities=[ProfilerActivity.CUDA]) as record, suppress(StopLoop):
        train_with_kdrun(workload, stop_after(_PROFILED), stage)
    kernels = sum(event.self_device_time_total for event in record.key_averages()) / 1e6
    return kernels / (_PROFILED * BATCH_SIZE / images_per_second)


def _synchronize(workload: Workload) -> None:
    if workload.device.type == "cuda":
        torch.cuda.synchronize(workload.device)


def _row(stage: str, pace: Pace) -> list[str]:
    busy = "" if pace.busy is None else f"{pace.busy:.0%}"
    speeds = [f"{speed:.0f}" for speed in (pace.stage, pace.loader, pace.compute)]
    return [stage, *speeds, busy, pace.bound]


if __name__ == "__main__":
    main()
