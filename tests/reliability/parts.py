"""Each part injects one kind of fault, and counts what was injected and what was survived."""

import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from controls.control import Control

from . import command
from .command import end, kill_after, result, resume, start, whole

ROOT = Path(__file__).parents[2]
# Points of a whole run: the writer of files, the log of measurements, the training loop.
POINTS = (
    *("before-temp", "half-temp", "before-fsync", "before-rename", "after-rename"),
    *("metrics-half", "step"),
)
Counts = dict[str, Any]


def kills(asked: Namespace, folder: Path) -> Counts:
    """SIGKILL at random times of a run and of its resumptions."""
    return _kill_at_random_times(asked.kills, command.WORDS, folder)


def hooks(asked: Namespace, folder: Path) -> Counts:
    """SIGKILL at a random passage of each fault point."""
    return {"points": _kill_at_points(asked.hooks, command.WORDS, folder)}


def texts(asked: Namespace, folder: Path) -> Counts:
    """The same of a run on texts."""
    random_times = _kill_at_random_times(asked.texts, command.TEXT_WORDS, folder / "kills")
    points = _kill_at_points(-(-asked.texts // 20), command.TEXT_WORDS, folder / "points")
    return {"kills": random_times, "points": points}


def _kill_at_random_times(count: int, words: Sequence[str], folder: Path) -> Counts:
    expected, seconds = whole(folder / "whole", words)
    draw = random.Random(1)
    killed = runs = same = 0
    while killed < count:
        runs += 1
        place = folder / f"run-{runs}"
        for _ in range(min(4, count - killed)):
            killed += kill_after(start(place, resume(place, words)), draw.uniform(0, seconds))
        finished = end(start(place, resume(place, words))) == 0
        same += finished and result(place / "run") == expected
        shutil.rmtree(place)
    return {"injected": killed, "runs": runs, "same": same}


def _kill_at_points(count: int, words: Sequence[str], folder: Path) -> Counts:
    expected, _ = whole(folder / "whole", words)
    draw = random.Random(2)
    counts: Counts = {point: {"injected": 0, "same": 0} for point in POINTS}
    for point in POINTS:
        for number in range(count):
            place = folder / f"{point}-{number}"
            fault = {"KDRUN_FAULT": f"{point}:{draw.randrange(1, 30)}:kill"}
            killed = end(start(place, resume(place, words), fault)) == -signal.SIGKILL
            finished = end(start(place, resume(place, words))) == 0
            counts[point]["injected"] += killed
            counts[point]["same"] += killed and finished and result(place / "run") == expected
            shutil.rmtree(place)
    return counts


def damage(asked: Namespace, folder: Path) -> Counts:
    """Flipped bits and truncations of the checkpoint of a run that was killed."""
    from kdrun.engine.checkpoint import CURRENT, PREVIOUS, _verify, load
    from kdrun.engine.state_format import unpack

    fault = {"KDRUN_FAULT": "step:90:kill"}
    assert (
        end(start(folder, [*command.WORDS, "checkpoint_seconds=1e-9", "hydra.run.dir=run"], fault))
        == -signal.SIGKILL
    )
    stage = folder / "run" / "student"
    good = (stage / CURRENT).read_bytes()
    draw = random.Random(3)
    with (stage / PREVIOUS).open("rb") as file:
        _verify(file)
        before = unpack(file)

    def survives(damaged: bytes) -> bool:
        place = _only(stage, folder / "damaged", PREVIOUS)
        (place / CURRENT).write_bytes(damaged)
        told: list[str] = []
        loaded = load(place, told.append, before["training"])
        return loaded is not None and loaded["position"] == before["position"] and len(told) == 1

    def flipped() -> bytes:
        bit = draw.randrange(8 * len(good))
        return good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :]

    flips = sum(survives(flipped()) for _ in range(asked.flips))
    cuts = sum(survives(good[: draw.randrange(len(good))]) for _ in range(asked.cuts))
    return {
        "bytes": len(good),
        "flips": {"injected": asked.flips, "survived": flips},
        "cuts": {"injected": asked.cuts, "survived": cuts},
    }


def _only(stage: Path, place: Path, name: str) -> Path:
    """Return a folder that has one file of a stage."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy2(stage / name, place / name)
    return place


def store(asked: Namespace, folder: Path) -> Counts:
    """Processes that start together, share a store, and train each stage once."""
    words = [*command.TINY, "recipe.epochs=1"]
    good = 0
    for number in range(asked.store):
        place = folder / str(number)
        names = [f"hydra.run.dir=run-{process}" for process in range(asked.processes)]
        ends = [end(child) for child in [start(place, [*words, name]) for name in names]]
        stages = [_stages(place / f"run-{process}") for process in range(asked.processes)]
        trained = {name: sum(not run[name]["from_store"] for run in stages) for name in stages[0]}
        weights = {path.read_bytes() for path in place.glob("run-*/student/weights.safetensors")}
        once = trained["teacher"] == trained["alone"] == 1
        good += ends == [0] * asked.processes and once and len(weights) == 1
        shutil.rmtree(place)
    return {"times": asked.store, "processes": asked.processes, "good": good}


def _stages(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["stages"]


def fuzz(asked: Namespace, folder: Path) -> Counts:
    """Every test that says how many examples it tried."""
    written = folder / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "tests/fuzz", f"--junitxml={written}"]
    counts_asked = {"KDRUN_FUZZ": str(asked.fuzz), "KDRUN_FUZZ_COMMANDS": str(asked.commands)}
    environment = {**os.environ, **counts_asked}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)
    counts: Counts = {}
    for case in ElementTree.parse(written).iter("testcase"):
        examples = case.find("./properties/property[@name='examples']")
        counts[str(case.get("name"))] = {
            "examples": int(examples.get("value", 0)) if examples is not None else None,
            "passed": case.find("failure") is None and case.find("error") is None,
        }
    return {"fuzzers": counts}


def controls(asked: Namespace, folder: Path) -> Counts:
    """Each protection is taken out, and the tests of it are seen to fail, in several processes.

    A control that bit before, by the results, is not tried again.
    """
    from controls.table import CONTROLS

    known = [each for each in asked.known.get("controls", []) if each["bit"]]
    table = CONTROLS[:4] if asked.quick else CONTROLS
    kept = [each for each in known if each["key"] in {control.key for control in table}]
    done = {each["key"] for each in kept}
    chosen = [control for control in table if control.key not in done]
    shares = [(folder / str(job), chosen[job :: asked.jobs]) for job in range(asked.jobs)]
    workers = []
    for place, share in shares:
        place.mkdir()
        workers.append(os.fork())
        if workers[-1] == 0:
            try:
                _bite_all(share, place.resolve())
            finally:
                os._exit(0)
    for worker in workers:
        end(worker)
    files = [place / "found.json" for place, _ in shares]
    tried = [each for file in files for each in json.loads(file.read_text("utf-8"))]
    return {"controls": [*kept, *tried]}


def _bite_all(chosen: Sequence[Control], folder: Path) -> None:
    """Write what came of some controls to a file."""
    from controls.__main__ import run_controls
    from controls.bite import Copy, cases

    copy = Copy(folder)
    outcomes = copy.run(
        dict.fromkeys(test for control in chosen for test in control.tests), seconds=3600
    )
    found = []
    for control, ended in zip(chosen, run_controls(chosen, copy, outcomes), strict=True):
        of_control = [case for test in control.tests for case in cases(test, outcomes).values()]
        found.append(
            {
                "key": control.key,
                "row": control.row,
                "tests": list(control.tests),
                "cases": len(of_control),
                "passed": sum(outcome == "passed" for outcome, _ in of_control),
                "bit": ended.bit,
                "reason": ended.reason,
            }
        )
        print(control.row, "bites" if ended.bit else ended.reason, flush=True)
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


PARTS: dict[str, Callable[[Namespace, Path], Counts]] = {
    part.__name__: part for part in (kills, hooks, texts, damage, store, fuzz, controls)
}


def run_part(name: str, asked: Namespace) -> Counts:
    """Run a part in a scratch folder; return its counts, with where and when they were counted."""
    began = time.time()
    commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    known = asked.results / f"{name}.json"
    asked.known = json.loads(known.read_text("utf-8")) if known.exists() else {}
    at = subprocess.run(commit, capture_output=True, text=True, check=False).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="kdrun-reliability-") as scratch:
        counts = PARTS[name](asked, Path(scratch))
    return {
        **counts,
        "commit": at,
        "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "seconds": round(time.time() - began),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}, PyTorch {version('torch')}",
    }
