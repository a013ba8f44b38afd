"""Whether methods do their work: many losses, several seeds, one teacher, one short recipe.

    python -m benchmarks.evidence FOLDER [--output runs] [--jobs 2] [--only kd,dkd] [--write FILE]

FOLDER holds train/CLASS/ and test/CLASS/ pictures, such as CIFAR-10 as files. Runs that are
finished are not run again, so that it may be stopped at any time and started once more.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from kdrun.core.folder import RunFolder

TEACHER = "resnet56"
STUDENTS = ("resnet20", "vgg8")
SEEDS = (0, 1, 2)
COMMON = (
    "dataset=imagefolder",
    "dataset.image_size=16",
    "dataset.subset=4000",
    f"teacher={TEACHER}",
    "recipe=crd",
    "recipe.epochs=10",
    "teacher.recipe={epochs: 30}",
    "evaluate.latency.seconds=0.1",
    "threads=1",
)
# Each method as its YAML has it; warm-ups of 20 of 240 epochs are shortened as the recipe is. Four
# defaults belong to 240 epochs, 100 classes and 32 pixels: of lskd's weights 9, 3, 1, of vid's
# first variances 5, 1 and of simkd's weights 1, 10, validation of one seed chose the last;
# attention's maps are unit vectors, and a quarter of the pixels makes its mean of squares four
# times as large: 250 is 1000 there.
METHODS: dict[str, tuple[str, ...]] = {
    "kd": (),
    "dkd": ("loss.weight={value: 1.0, warmup: 1}", "loss.beta=2"),
    "dist": (),
    "lskd": ("loss.weight=1",),
    "wsld": (),
    "fitnet": (),
    "attention": ("loss.weight=250",),
    "sp": (),
    "vid": ("loss.variance=1",),
    "pkt": (),
    "rkd": (),
    "crd": (),
    "srrl": (),
    "simkd": ("loss.weight=10",),
}


@dataclass(frozen=True)
class Job:
    """One run: a student by a method with a seed."""

    student: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student}-{self.method}-{self.seed}"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("evidence"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--write", type=Path)
    given = parser.parse_args(words)
    given.output.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(student, method, seed)
        for student in STUDENTS
        for method in given.only
        for seed in SEEDS
    ]
    first = Job(STUDENTS[0], "kd", SEEDS[0])
    teacher = given.output / first.name  # trains the teacher that all others take
    run(first, given.folder, given.output, None)
    with ThreadPoolExecutor(given.jobs) as pool:
        rest = [job for job in jobs if job != first]
        list(pool.map(lambda job: run(job, given.folder, given.output, teacher), rest))
    text = "\n".join(table(given.output, given.only))
    print(text)
    if given.write:
        given.write.write_text(text + "\n")


def run(job: Job, pictures: Path, output: Path, teacher: Path | None) -> None:
    """Run one job, or go on with it; nothing where it is finished."""
    words = [
        *COMMON,
        f"dataset.root={pictures}",
        f"student={job.student}",
        f"loss={job.method}",
        *METHODS[job.method],
        f"seed={job.seed}",
    ]
    if teacher is not None:
        words = [word for word in words if not word.startswith("teacher.recipe")]
        words.append(f"teacher.run={teacher}")
    carry_out(job.name, words, output)


def carry_out(name: str, words: Sequence[str], output: Path) -> None:
    """Run `kdrun WORDS` into the folder of that name; go on with it, or leave it where finished."""
    folder = RunFolder(output / name)
    if folder.is_run and folder.status == "finished":
        return
    if folder.is_run:
        words = ["resume", str(folder.path)]
    else:
        places = (f"output_root={output / 'shared'}", f"hydra.run.dir={folder.path}")
        words = [*words, *places]
    command = [sys.executable, "-m", "kdrun", *words]
    log = output / f"{name}.log"
    with log.open("a") as file:
        done = subprocess.run(command, stdout=file, stderr=file, env=os.environ, check=False)
    print(f"{name}: {'done' if done.returncode == 0 else f'failed, see {log}'}", flush=True)


def table(output: Path, methods: Iterable[str]) -> Iterator[str]:
    """Markdown: test accuracy over seeds, a row a method, and its gain over the control."""
    heads = [f"{TEACHER} -> {student}" for student in STUDENTS]
    columns = [text for head in heads for text in (head, "gain over alone")]
    yield f"| method | {' | '.join(columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    teacher = accuracies(output, STUDENTS[0], "kd").get(SEEDS[0], {}).get("teacher")
    told = "-" if teacher is None else f"{100 * teacher:.2f}"
    yield f"| teacher | {' | '.join([told, '-'] * len(STUDENTS))} |"
    for row, method in [("alone", "kd"), *((name, name) for name in methods)]:
        cells = []
        for student in STUDENTS:
            found = accuracies(output, student, method)
            key = "alone" if row == "alone" else "distilled"
            cells.append(spread([rows[key] for rows in found.values()]))
            gains = [rows["distilled"] - rows["alone"] for rows in found.values()]
            cells.append("-" if row == "alone" else spread(gains, sign="+"))
        yield f"| {row} | {' | '.join(cells)} |"


def accuracies(output: Path, student: str, method: str) -> dict[int, dict[str, float]]:
    """Seed -> row -> top-1 on the test split, of the finished runs."""
    found = {}
    for seed in SEEDS:
        path = output / Job(student, method, seed).name / "summary.json"
        if path.exists():
            rows = json.loads(path.read_text())["rows"]
            found[seed] = {row["model"]: row["accuracy"] for row in rows}
    return found


def spread(shares: Sequence[float], sign: str = "") -> str:
    """Mean and sample standard deviation, in percent, with the number of runs if not all."""
    if not shares:
        return "-"
    percents = [100 * share for share in shares]
    deviation = f" ± {stdev(percents):.2f}" if len(percents) > 1 else ""
    missing = "" if len(percents) == len(SEEDS) else f" (n={len(percents)})"
    return f"{mean(percents):{sign}.2f}{deviation}{missing}"


if __name__ == "__main__":
    main()
