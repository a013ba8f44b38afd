"""What compression costs in accuracy, and what distillation gives back: chains of steps, seeds.

    python -m benchmarks.recovery [FOLDER] [--output recovery] [--jobs 2] [--only int8]

FOLDER holds train/CLASS/ and test/CLASS/ pictures, such as CIFAR-10 as files; the embedded digits
without it. Runs that are finished are not run again. One teacher teaches all students of pictures,
and the chains of a seed share its student.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.evidence import SEEDS, carry_out, spread

DIGITS = ("dataset=digits", "controls=[]", "evaluate.latency.seconds=1", "threads=1")
PICTURES = (
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
# A run for its teacher: what it distils is of no account.
FOR_THE_TEACHER = ("teacher.recipe={epochs: 20}", "student=mlp", "recipe.epochs=1")
RATIO = "compress.prune_channels.ratio=0.5"
CHAINS: Mapping[str, tuple[str, ...]] = {
    "int8": ("compress=quantize_static", "compress.calibrator=kl"),
    "half": ("compress=[prune_channels,distill]", RATIO),
    "half-int8": ("compress=[prune_channels,quantize_static,distill]", RATIO),
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, default=Path("recovery"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CHAINS))
    given = parser.parse_args(words)
    given.output.mkdir(parents=True, exist_ok=True)
    common: tuple[str, ...] = DIGITS
    if given.folder is not None:
        common = (*PICTURES, f"dataset.root={given.folder}")
        carry_out("teacher", (*common, *FOR_THE_TEACHER), given.output)
        common += (f"teacher.run={given.output / 'teacher'}",)

    def do(seed: int) -> None:
        for chain in given.only:
            asked = (*common, *CHAINS[chain], f"seed={seed}")
            carry_out(f"{chain}-{seed}", asked, given.output)

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(do, SEEDS))
    for chain in given.only:
        print(f"\n`{' '.join(CHAINS[chain])}`\n")
        print("\n".join(table(given.output, chain)))


def table(output: Path, chain: str) -> Iterator[str]:
    """Markdown: a row a model; means over the seeds, with standard deviations of accuracy."""
    heads = ("model", "top-1 %", "over the one before", "over the student")
    heads += ("agrees with the one before %", "MACs", "bytes", "times as fast as the one before")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    runs = list(finished(output, chain))
    for row in runs[0] if runs else ():
        rows = [run[row] for run in runs]
        top1 = spread([one["accuracy"] for one in rows])
        cost = [f"{mean_of(rows, 'macs') / 1e6:.2f} M", f"{mean_of(rows, 'bytes') / 1e3:.0f} k"]
        if "versus" not in rows[0]:
            yield f"| {' | '.join([row, top1, '-', '-', '-', *cost, '-'])} |"
            continue
        step = spread([one["versus"]["accuracy"] for one in rows], sign="+")
        all_ = [run[row]["accuracy"] - run["distilled"]["accuracy"] for run in runs]
        agreement = spread([one["versus"]["agreement"] for one in rows])
        faster = [one["versus"]["latency"] for one in rows]
        times = f"{min(faster):.2f} to {max(faster):.2f}" if all(faster) else "-"
        cells = [row, top1, step, spread(all_, sign="+"), agreement, *cost, times]
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
