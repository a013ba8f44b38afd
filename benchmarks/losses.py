"""Milliseconds that each loss adds to a step: its forward and backward, without the networks.

python -m benchmarks.losses [--only kd nst] [--rounds 5] [--literal] [--write kdrun/loss/cost.yaml]

resnet32x4 teaches resnet8x4: 100 classes, batches of 64 images 3x32x32, float32, two threads. The
activations come from one pass of both networks. `combined` is attention and sp together; memory
banks have 50,000 vectors. A loss with a first phase has a row for it and one for its main phase.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
import yaml
from torch import Tensor

from benchmarks.bound_losses import BoundLoss, bind_losses
from benchmarks.literal_losses import LITERAL
from benchmarks.machine import describe_machine, name_processor
from benchmarks.timing import ratios, spread, table
from benchmarks.workload import read_plan
from kdrun.config.compose import compose_runs
from kdrun.loss.table import LOSSES

FIRST, AS_WRITTEN = ", first phase", ", literal"
_AGREEMENT = 1e-3  # relative; sums of squares in another order differ
_THREADS = 2
_LEAST = 0.03  # seconds that a turn of a quick loss takes
_WORDS = ("device=cpu", "teacher=resnet32x4", "student=resnet8x4", f"threads={_THREADS}")
# What some rows need beside the values of the loss's YAML file.
_OVERRIDES: Mapping[str, str] = {
    "combined": "loss.terms={attention: {}, sp: {}}",
    "fitnet" + FIRST: "loss.first_epochs=1",
}
Work = Callable[[], Tensor]
Times = Mapping[str, Sequence[float]]


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, and write the file of `--write`."""
    options = _options(words)
    torch.set_num_threads(_THREADS)
    names = sorted({"kd", *options.only})
    works = dict(_all_works(names, options.literal, options.batch_size))
    times = _measure(works, options.rounds)
    print(describe_machine())
    print(f"{options.rounds} rounds; batches of {options.batch_size}; time on the wall\n")
    print(_report(times))
    if options.write:
        options.write.write_text(_cost(times, options), encoding="utf-8")


def _options(words: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(LOSSES), default=sorted(LOSSES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--literal", action="store_true", help="time the forms of common code too")
    parser.add_argument("--write", type=Path, metavar="FILE")
    return parser.parse_args(words)


def _all_works(names: Sequence[str], literal: bool, batch_size: int) -> Iterator[tuple[str, Work]]:
    plan = read_plan(*_WORDS, f"recipe.batch_size={batch_size}", steps=2)
    rows = [row for name in names for row in (name, name + FIRST)]
    nodes = {row: (_node(row), row.endswith(FIRST)) for row in rows}
    for row, bound in bind_losses(plan, nodes).items():
        yield row, bound.step
        name = row.removesuffix(FIRST)
        terms = bound.unweighted_terms() if literal and name in LITERAL else {}
        if name in terms:
            _require_agreement(row, terms[name], _literal_value(name, bound))
            yield row + AS_WRITTEN, partial(_literal_step, name, bound)


def _node(row: str) -> dict[str, Any]:
    """The config node of a row's loss."""
    name = row.removesuffix(FIRST)
    words = [f"loss={name}", _OVERRIDES.get(row, _OVERRIDES.get(name, ""))]
    (job,) = compose_runs([word for word in words if word], multirun=False)
    node: dict[str, Any] = job.tree["loss"]
    return node


def _literal_step(name: str, bound: BoundLoss) -> Tensor:
    """Compute the literal form of a loss, forward and backward; returns its value."""
    value = _literal_value(name, bound)
    value.backward()
    bound.forget()
    return value.detach()


def _literal_value(name: str, bound: BoundLoss) -> Tensor:
    """The value of the literal form, not weighted."""
    if bound.teacher is None:
        raise TypeError(f"{name} needs a teacher")
    pairs = zip(bound.student.taps.values(), bound.teacher.taps.values(), strict=True)
    return LITERAL[name](bound.loss, list(pairs))


def _require_agreement(row: str, value: Tensor, literal: Tensor) -> None:
    """Check that both forms have the same value; else their times are not comparable."""
    difference = ((value - literal) / literal).abs().item()
    if difference > _AGREEMENT:
        raise ValueError(f"{row}: {value.item()}, and {literal.item()} in its literal form")


def _measure(works: Mapping[str, Work], rounds: int) -> Times:
    """Seconds per step of each row, one value for each round, all rows in turn."""
    counts = {row: max(1, round(_LEAST / _time(work, 2))) for row, work in works.items()}
    times: dict[str, list[float]] = {row: [] for row in works}
    for _ in range(rounds):
        for row, work in works.items():
            times[row].append(_time(work, counts[row]))
    return times


def _time(work: Work, count: int) -> float:
    started = perf_counter()
    for _ in range(count):
        work()
    return (perf_counter() - started) / count


def _report(times: Times) -> str:
    rows = [
        [row, spread([second * 1e3 for second in seconds], ".1f"), f"{_times_kd(times, row):.0f}"]
        for row, seconds in times.items()
    ]
    return table(["loss", "ms", "times kd"], rows)


def _times_kd(times: Times, row: str) -> float:
    return median(ratios(times, row, "kd"))


def _cost(times: Times, options: Namespace) -> str:
    """The file that `kdrun show loss=NAME` reads; literal forms are left out."""
    milliseconds = {
        row: float(f"{median(seconds) * 1e3:.3g}")
        for row, seconds in times.items()
        if not row.endswith(AS_WRITTEN)
    }
    command = f"python -m benchmarks.losses --rounds {options.rounds}"
    measured = f"{name_processor()}, {_THREADS} threads, torch {torch.__version__}, {command}"
    first = {
        row.removesuffix(FIRST): milliseconds.pop(row) for row in list(milliseconds) if FIRST in row
    }
    cost = {"measured": measured, "milliseconds": milliseconds, "first_phase": first}
    return yaml.safe_dump(cost, sort_keys=False, width=200)


if __name__ == "__main__":
    main()
