"""Each benchmark prints its table, on a few steps; the speeds are not checked."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def run(module: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(output: str) -> list[str]:
    """The first cell of each row of the tables."""
    lines = [line for line in output.splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in lines if "---" not in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "words", "expected"),
    [
        (
            "training",
            ("--rounds=1", "--steps=1"),
            [
                *("loop", "plain loop, fp32", "kdrun, fp32", "bare loop, fp32", "kdrun, bf16"),
                *("kdrun, fp32, over the bare loop", "resnet56 and resnet20", "two small mlp"),
            ],
        ),
        (
            "outputs",
            ("--rounds=1", "--steps=1", "--job-steps=1", "teacher=resnet8", "student=resnet8"),
            [
                *("teacher", "live teacher", "stored, each epoch its own view"),
                *("stored, two views in turn", "loop", "plain loop, fp32"),
                *("kdrun, live teacher", "kdrun, stored outputs"),
            ],
        ),
        (
            "memory",
            ("--rounds=1", "--steps=1"),
            ["process", "plain loop, fp32", "kdrun, fp32", "kdrun, bf16"],
        ),
        (
            "augmentation",
            ("--rounds=1", "--steps=1"),
            ["augmentation", "one image at a time", "whole batches"],
        ),
        (
            "startup",
            ("--rounds=1",),
            ["command", "python alone", "kdrun --version", "kdrun --help", "kdrun --cfg job"],
        ),
        ("long_run", ("--epochs=20",), ["epoch", *map(str, range(1, 20, 2))]),
        ("comparing", ("--runs", "4", "--rounds=1"), ["command", "compare", "list runs"]),
        ("sweeps", ("--jobs=2",), ["jobs", "0", "2"]),
        (
            "store",
            ("--artefacts", "8", "--runs", "2"),
            ["kdrun store", "list", "check", "prune --older 0m --dry-run", "prune --older 0m"],
        ),
        (
            "stages",
            ("--epochs=1", "--steps=1"),
            ["stage", "teacher", "alone", "distill"],
        ),
        (
            "parts",
            ("--rounds=1", "--steps=1"),
            [
                "work",
                *["teacher: forward pass"] * 4,
                *["student: update"] * 3,
                *["optimizer: step"] * 2,
            ],
        ),
        (
            "reporting",
            ("--rounds=1", "--runs=6"),
            ["report of", "one run", "6 runs"],
        ),
        (
            "compression",
            ("--seconds=0.05", "--networks=resnet8:32"),
            ["network", *["resnet8, 32 px"] * 4],
        ),
    ],
)
def test_a_benchmark_prints_all_rows(
    module: str, words: tuple[str, ...], expected: list[str]
) -> None:
    output = run(module, *words)
    assert output.startswith(("processor: ", "GPU: "))
    assert rows(output) == expected


@pytest.mark.slow
def test_losses_are_timed_and_written_with_their_first_phases(tmp_path: Path) -> None:
    file = tmp_path / "cost.yaml"
    small = ("--rounds=1", "--batch-size=2", "--only", "attention", "fsp", "--literal")
    output = run("losses", *small, "--write", str(file))
    assert rows(output) == [
        *("loss", "attention", "attention, literal"),
        *("fsp", "fsp, first phase", "fsp, first phase, literal", "kd"),
    ]
    cost = yaml.safe_load(file.read_text())
    assert list(cost) == ["measured", "milliseconds", "first_phase"]
    assert list(cost["milliseconds"]) == ["attention", "fsp", "kd"]
    assert list(cost["first_phase"]) == ["fsp"]
    assert min(cost["milliseconds"].values()) > 0
    assert "2 threads, torch" in cost["measured"]
