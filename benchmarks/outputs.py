"""Time that stored teacher outputs save: in a grid of 2 x 2 settings, and in a single job.

python -m benchmarks.outputs [--device cuda] [--precision bf16] [--rounds 3] [--steps 20]
    [teacher=resnet32x4 student=resnet8x4]

The grid times the stages of four runs that share a teacher; the single job times the training
loop and one written by hand, in turns.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.loops import make_spec, train_by_hand, train_spec, use_pytorch_defaults
from benchmarks.machine import describe_machine, has_half_units
from benchmarks.timing import Contender, make_clock, ratios, spread, table, time_in_turns
from benchmarks.workload import BATCH_SIZE, Workload, make_workload, read_plan
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen
from kdrun.core.store import Store
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.outputs import Layout, StoredOutputs, Writer
from kdrun.stage.base import StageContext
from kdrun.stage.obtain import obtain

GRID = [*product((2, 4), (0.5, 0.9))]  # temperature, alpha
EPOCHS = 4
PLAIN, LIVE, STORED = "plain loop, fp32", "kdrun, live teacher", "kdrun, stored outputs"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = _options(words)
    use_pytorch_defaults()
    device = torch.device(options.device)
    print(describe_machine(device))
    if options.precision == "bf16" and device.type == "cpu" and not has_half_units():
        print("this processor has no units for bf16: it is slower than fp32 here")
    print(f"\n2 x 2 settings, {EPOCHS} epochs of {options.steps} steps of {BATCH_SIZE} images\n")
    print(_grid(options), end="\n\n")
    print(f"one job, {options.rounds} rounds of {options.job_steps} steps\n")
    print(_job(options))


def _options(words: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="of an epoch of the grid")
    parser.add_argument("--job-steps", type=int, default=8, help="of a turn of the single job")
    parser.add_argument("words", nargs="*", help="of the config: other networks")
    return parser.parse_args(words)


def _grid(options: Namespace) -> str:
    """Seconds of the stages of four jobs, with stored outputs and with a live teacher."""
    ways = {
        "live teacher": (),
        "stored, each epoch its own view": ("teacher_outputs=stored",),
        "stored, two views in turn": ("teacher_outputs=stored", "teacher_outputs.views=2"),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    with redirect_stdout(StringIO()), TemporaryDirectory() as folder:
        root = Path(folder)
        _run(options, root / "teacher", 0, (2, 0.5), ("recipe.epochs=1",))
        for number in range(options.rounds):
            for way, overrides in ways.items():
                output_root = root / f"{number}-{len(overrides)}"
                words = (f"teacher.run={root / 'teacher' / '2-0.5'}", *overrides)
                times[way].append(
                    sum(_run(options, output_root, number, setting, words) for setting in GRID)
                )
    aim = {"stored, two views in turn": "1.35" if options.precision == "bf16" else "1.6"}
    rows = [
        [way, spread(seconds, ".1f"), spread(ratios(times, "live teacher", way)), aim.get(way, "")]
        for way, seconds in times.items()
    ]
    return table(["teacher", "seconds", "times as fast as live", "at least"], rows)


def _run(
    options: Namespace,
    output_root: Path,
    seed: int,
    setting: tuple[float, float],
    words: Sequence[str],
) -> float:
    """Run the stages of one job; returns the seconds of distillation and of storing outputs.

    On a CPU these are seconds of this thread, so that other work on the machine counts little.
    """
    temperature, alpha = setting
    plan = read_plan(
        f"device={options.device}",
        f"precision={options.precision}",
        f"recipe.epochs={EPOCHS}",
        f"loss.temperature={temperature}",
        f"loss.alpha={alpha}",
        f"seed={seed}",
        "controls=[]",
        f"output_root={output_root}",
        *options.words,
        *words,
        steps=options.steps,
    )
    plan.hardware.prepare(plan.config.deterministic)
    screen, clock = Screen(), make_clock(plan.hardware.device)
    runtime = plan.runtime(screen, Interrupt(), lambda record: None)
    context = StageContext(plan.config, plan.data, runtime, {})
    folder, prints = RunFolder(output_root / f"{temperature}-{alpha}"), plan.fingerprints(runtime)
    folder.path.mkdir(parents=True)
    seconds = 0.0
    for stage in plan.stages:
        name, started = stage.info.name, clock()
        artefact = obtain(stage, context, folder, Store(plan.config.store), prints[name])
        context = replace(context, artefacts={**context.artefacts, name: artefact})
        seconds += clock() - started if name.endswith("distill") else 0
    return seconds


def _job(options: Namespace) -> str:
    """Steps of a job with stored outputs, with a live teacher, and in the loop written by hand."""
    steps = (options.rounds + 1) * options.job_steps + 1
    words = (f"device={options.device}", f"precision={options.precision}")
    workload = make_workload(read_plan(*words, *options.words, steps=steps))
    with TemporaryDirectory() as folder:
        outputs = _outputs(workload, Path(folder))
        contenders = [
            Contender(PLAIN, partial(train_by_hand, workload), use_pytorch_defaults),
            Contender(LIVE, partial(_train, workload, None), workload.apply_settings),
            Contender(STORED, partial(_train, workload, outputs), workload.apply_settings),
        ]
        clock = make_clock(workload.device)
        times = time_in_turns(contenders, options.rounds, options.job_steps, clock)
    aim = {STORED: "4, in bf16"}
    rows = [
        [
            name,
            spread([second * 1e3 for second in seconds], ".1f"),
            spread(ratios(times, PLAIN, name)),
            aim.get(name, ""),
        ]
        for name, seconds in times.items()
    ]
    return table(["loop", "ms a step", "times as fast as plain", "at least"], rows)


def _outputs(workload: Workload, folder: Path) -> StoredOutputs:
    """Random outputs for one view: their values don't change the time that reading them takes."""
    train = workload.plan.data.train
    layout = Layout(1, train.size, train.num_classes, "fp16", top_k=None)
    writer = Writer(folder, layout)
    writer.begin()
    writer.append(torch.randn(train.size, train.num_classes))
    return StoredOutputs(folder, layout, workload.device)


def _train(workload: Workload, outputs: StoredOutputs | None, tick: Callable[[], None]) -> None:
    spec = make_spec(workload)
    if outputs is not None:
        spec = replace(spec, teacher=None, outputs=outputs)
    train_spec(workload, spec, tick)


if __name__ == "__main__":
    main()
