"""Accuracy that compression costs and distillation recovers: chains of steps over seeds.

    python -m benchmarks.recovery [FOLDER] [--output recovery] [--jobs 2] [--only int8]

FOLDER holds images in train/CLASS/ and test/CLASS/, such as CIFAR-10 as files; without it the
embedded digits are used. Finished runs are not run again. One teacher teaches all students of
images, and the chains of a seed share a student.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.evidence import SEEDS, carry_out, spread

DIGITS = ("dataset=digits", "controls=[]", "evaluate.latency.seconds=1", "threads=1")
IMAGES = (
    "dataset=imagefolder",
    "dataset.image_size=16",
    "dataset.subset=6000",
    "teacher=resnet56",
    "student=resnet20",
    "recipe=crd",
    "recipe.epochs=15",
    "controls=[]",
    "evaluate.latency.seconds=1",
    "threads=1",
)
# A run that trains the teacher; its student is not used.
FOR_THE_TEACHER = ("teacher.recipe={epochs: 20}", "student=mlp", "recipe.epochs=1")
RATIO = "compress.prune_channels.ratio=0.5"
CHAINS: Mapping[str, tuple[str, ...]] = {
    "int8": ("compress=quantize_static", "compress.calibrator=kl"),
    "half": ("compress=[prune_channels,distill]", RATIO),
    "half-int8": ("compress=[prune_channels,quantize_static,distill]", RATIO),
}


def main(words: Sequence[str] | None = None) -> None:
    """Run what is not finished, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, default=Path("recovery"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CHAINS))
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    common: tuple[str, ...] = DIGITS
    if options.folder is not None:
        common = (*IMAGES, f"dataset.root={options.folder}")
        carry_out("teacher", (*common, *FOR_THE_TEACHER), options.output)
        common += (f"teacher.run={options.output / 'teacher'}",)

    def run_chains(seed: int) -> None:
        for chain in options.only:
            overrides = (*common, *CHAINS[chain], f"seed={seed}")
            carry_out(f"{chain}-{seed}", overrides, options.output)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run_chains, SEEDS))
    for chain in options.only:
        print(f"\n`{' '.join(CHAINS[chain])}`\n")
        print("\n".join(table(options.output, chain)))


def table(output: Path, chain: str) -> Iterator[str]:
    """Markdown, one row for each model: means over the seeds, and deviations of accuracy."""
    heads = ("model", "top-1 %", "over the one before", "over the student")
    heads += ("agrees with the one before %", "MACs", "bytes", "times as fast as the one before")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    runs = list(finished(output, chain))
    for row in runs[0] if runs else ():
        rows = [run[row] for run in runs]
        top1 = spread([result["accuracy"] for result in rows])
        cost = [f"{mean_of(rows, 'macs') / 1e6:.2f} M", f"{mean_of(rows, 'bytes') / 1e3:.0f} k"]
        if "versus" not in rows[0]:
            yield f"| {' | '.join([row, top1, '-', '-', '-', *cost, '-'])} |"
            continue
        step = spread([result["versus"]["accuracy"] for result in rows], sign="+")
        over_student = [run[row]["accuracy"] - run["distilled"]["accuracy"] for run in runs]
        agreement = spread([result["versus"]["agreement"] for result in rows])
        faster = [result["versus"]["latency"] for result in rows]
        times = f"{min(faster):.2f} to {max(faster):.2f}" if all(faster) else "-"
        cells = [row, top1, step, spread(over_student, sign="+"), agreement, *cost, times]
        yield f"| {' | '.join(cells)} |"


def finished(output: Path, chain: str) -> Iterator[dict[str, Any]]:
    """The rows of each finished run, by the model's name."""
    for seed in SEEDS:
        path = output / f"{chain}-{seed}" / "summary.json"
        if path.exists():
            yield {row["model"]: row for row in json.loads(path.read_text())["rows"]}


def mean_of(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return sum(row[key] for row in rows) / len(rows)


if __name__ == "__main__":
    main()
