"""Speed of kdrun's engine, of a loop written by hand, and of the engine's arithmetic alone.

python -m benchmarks.training [--device cuda] [--rounds 5] [--steps 8]

On a GPU it also trains the stages of a run for 5 epochs, as benchmarks.stages does.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median

from benchmarks import stages
from benchmarks.loops import train_bare_loop, train_by_hand, train_with_kdrun, use_pytorch_defaults
from benchmarks.machine import describe_machine, has_half_units
from benchmarks.timing import Contender, make_clock, ratios, spread, table, time_in_turns
from benchmarks.workload import BATCH_SIZE, Workload, make_workload, read_plan

PLAIN, FP32, BF16, BARE = "plain loop, fp32", "kdrun, fp32", "kdrun, bf16", "bare loop, fp32"
SMALL = ("teacher=mlp", "teacher.hidden=[16]", "student=mlp", "student.hidden=[8]")
MANY = 10  # small networks do this many times as many steps
Times = Mapping[str, Sequence[float]]


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = _options(words)
    use_pytorch_defaults()
    fp32, bf16 = (
        _workload(options, options.steps, f"precision={precision}")
        for precision in ("fp32", "bf16")
    )
    small = _workload(options, MANY * options.steps, "precision=fp32", *SMALL)
    on_gpu = fp32.device.type == "cuda"
    print(describe_machine(fp32.device))
    print(f"{options.rounds} rounds of {options.steps} steps of {BATCH_SIZE} images\n")
    clock = make_clock(fp32.device)
    times = time_in_turns(_contenders(fp32, bf16), options.rounds, options.steps, clock)
    print(_speed(times), end="\n\n")
    alone = time_in_turns(_runners(small), options.rounds, MANY * options.steps, clock)
    print(_overhead(times, alone), end="\n\n")
    print(f"fp32: {fp32.freeze_teacher()[1]}\nbf16: {bf16.freeze_teacher()[1]}")
    if not on_gpu and not has_half_units():
        print("bf16: this processor has no units for it, so it is slower than fp32 here")
    if on_gpu:
        stages.main([f"--device={options.device}", "--epochs=5", "--steps=781"])


def _workload(options: Namespace, steps: int, *words: str) -> Workload:
    """A workload whose epoch lasts for all turns."""
    steps = (options.rounds + 1) * steps + 1
    return make_workload(read_plan(f"device={options.device}", *words, steps=steps))


def _options(words: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    return parser.parse_args(words)


def _contenders(fp32: Workload, bf16: Workload) -> list[Contender]:
    return [
        Contender(PLAIN, partial(train_by_hand, fp32), use_pytorch_defaults),
        *_runners(fp32),
        Contender(BF16, partial(train_with_kdrun, bf16), bf16.apply_settings),
    ]


def _runners(workload: Workload) -> list[Contender]:
    return [
        Contender(FP32, partial(train_with_kdrun, workload), workload.apply_settings),
        Contender(BARE, partial(train_bare_loop, workload), workload.apply_settings),
    ]


def _speed(times: Times) -> str:
    targets = {FP32: "1.0", BF16: "2.3, with bf16 units"}
    rows = [
        [
            name,
            spread([second * 1e3 for second in seconds], ".1f"),
            f"{BATCH_SIZE / median(seconds):.0f}",
            spread(ratios(times, PLAIN, name)),
            targets.get(name, ""),
        ]
        for name, seconds in times.items()
    ]
    return table(["loop", "ms a step", "images/s", "times as fast as plain", "at least"], rows)


def _overhead(times: Times, small: Times) -> str:
    """Overhead of the engine over its arithmetic, with the usual networks and with tiny ones.

    Tiny networks take almost no time, so that the overhead is not lost in their noise.
    """
    percent = [(ratio - 1) * 100 for ratio in ratios(times, FP32, BARE)]
    pairs = zip(small[FP32], small[BARE], strict=True)
    more = [(engine - bare) * 1e3 for engine, bare in pairs]
    share = median(more) / (median(times[BARE]) * 1e3) * 100
    rows = [
        ["resnet56 and resnet20", f"{spread(percent, '.1f')} %", "3 %"],
        ["two small mlp", f"{spread(more)} ms a step, {share:.2f} % of the step above", "3 %"],
    ]
    return table(["kdrun, fp32, over the bare loop", "takes more by", "at most"], rows)


if __name__ == "__main__":
    main()
