"""What makes kdrun's step faster than the plain loop's: parts of a step, in several forms.

python -m benchmarks.parts [--device cuda] [--rounds 5] [--steps 4]
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from benchmarks.loops import use_pytorch_defaults
from benchmarks.machine import describe_machine
from benchmarks.timing import Contender, Tick, make_clock, ratios, spread, table, time_in_turns
from benchmarks.workload import BATCH_SIZE, Workload, make_workload, read_plan
from kdrun.core.memory_format import move_network

Work = Callable[[], object]


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args(words)
    use_pytorch_defaults()
    fp32, bf16 = (
        make_workload(read_plan(f"device={options.device}", f"precision={precision}", steps=4))
        for precision in ("fp32", "bf16")
    )
    print(describe_machine(fp32.device))
    print(f"{options.rounds} rounds of {options.steps} times a batch of {BATCH_SIZE} images\n")
    rows = []
    for work, forms in {
        "teacher: forward pass": _answers(fp32, bf16),
        "student: update": _updates(fp32, bf16),
        "optimizer: step": _optimizers(fp32),
    }.items():
        contenders = [
            Contender(name, partial(_repeat, form), use_pytorch_defaults)
            for name, form in forms.items()
        ]
        times = time_in_turns(contenders, options.rounds, options.steps, make_clock(fp32.device))
        rows += [
            [
                work,
                name,
                f"{median(seconds) * 1e3:.1f}",
                spread(ratios(times, next(iter(forms)), name)),
            ]
            for name, seconds in times.items()
        ]
    print(table(["work", "form", "ms", "times as fast"], rows))


def _answers(fp32: Workload, bf16: Workload) -> dict[str, Work]:
    plain = deepcopy(fp32.teacher).eval()
    folded, lower = fp32.freeze_teacher()[0], bf16.freeze_teacher()[0]
    last = move_network(deepcopy(plain), fp32.device)
    return {
        "plain": partial(_answer, plain, _images(fp32, plain=True)),
        "channels_last": partial(_answer, last, _images(fp32)),
        "channels_last, norms folded": partial(_answer, folded, _images(fp32)),
        "channels_last, norms folded, bf16": partial(_answer, lower, _images(bf16)),
    }


def _updates(fp32: Workload, bf16: Workload) -> dict[str, Work]:
    plain = deepcopy(fp32.student).to(fp32.device).train()
    last = move_network(deepcopy(plain), fp32.device)
    lower = move_network(deepcopy(plain), fp32.device)
    return {
        "plain": partial(_learn, plain, _images(fp32, plain=True), fp32),
        "channels_last": partial(_learn, last, _images(fp32), fp32),
        "channels_last, bf16": partial(_learn, lower, _images(bf16), bf16),
    }


def _optimizers(workload: Workload) -> dict[str, Work]:
    works: dict[str, Work] = {}
    for name, settings in {"plain": {}, "fused": {"fused": True}}.items():
        network = deepcopy(workload.student).to(workload.device)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer = SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, **settings)
        works[name] = optimizer.step
    return works


def _images(workload: Workload, plain: bool = False) -> Tensor:
    """A batch in the workload's precision; in PyTorch's default memory format if plain."""
    split, hardware = workload.plan.data.train, workload.plan.hardware
    batches = split.batches(BATCH_SIZE, dtype=hardware.dtype, channels_last=not plain)
    return next(iter(batches)).inputs  # type: ignore[return-value]


@torch.no_grad()
def _answer(network: nn.Module, images: Tensor) -> Tensor:
    return network(images)


def _learn(network: nn.Module, images: Tensor, workload: Workload) -> None:
    network.zero_grad(set_to_none=True)
    with workload.plan.hardware.autocast():
        logits = network(images)
    F.cross_entropy(logits.float(), logits.detach().argmax(1)).backward()


def _repeat(work: Work, tick: Tick) -> None:
    while True:
        work()
        tick()


if __name__ == "__main__":
    main()
