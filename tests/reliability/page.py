"""Writes docs/reliability.md from the results of the parts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from controls.rows import TABLES

Results = dict[str, Any]

HEAD = """# Reliability

Written by `python -m tests.reliability`, and not by hand. Each figure was counted by that
command, on {machine}.

## Injected faults

| fault | injected | survived | commit | date | seconds |
| --- | ---: | ---: | --- | --- | ---: |"""
SAME = """
Survived: a killed run that was resumed has the weights, measurements and predictions of one that
was not, bit for bit; of a damaged checkpoint the previous one is used, and that is said; of
processes that start together each ends with status 0, the teacher and the control are trained once,
and all students are equal. SIGKILL does not test what a power loss leaves."""
FUZZ = """
## Fuzzers

Each example must end with a sentence and a known status: no traceback, no silent acceptance of
damage.

| fuzzer | examples | wrong ends |
| --- | ---: | --- |"""
ROWS = """
## Rows, tests and negative controls

A negative control takes the protection out of the code; the test must fail then. Cases: how many
cases of the row's tests ran without an edit, and how many passed. A row without a control has a
dash. The tests are named in `tests/controls`, by row."""
TABLE = """
### {title}

| row | what goes wrong | cases | passed | controls | bite |
| --- | --- | ---: | ---: | ---: | --- |"""


def write_page(path: Path, results: Results) -> None:
    """Write the page."""
    path.write_text("\n".join(lines(results)) + "\n", encoding="utf-8")


def lines(results: Results) -> Iterator[str]:
    """Yield the lines of the page."""
    yield HEAD.format(machine=results["controls"]["machine"])
    yield from _injected(results)
    yield SAME
    yield FUZZ
    for name, counts in results["fuzz"]["fuzzers"].items():
        title = name.removeprefix("test_").replace("_", " ")
        examples = "-" if counts["examples"] is None else f"{counts['examples']:,}"
        yield f"| {title} | {examples} | {'none' if counts['passed'] else 'some'} |"
    yield f"\n{_counted(results['fuzz'])}"
    yield ROWS
    yield f"\n{_counted(results['controls'])}"
    for title, rows in TABLES.items():
        yield TABLE.format(title=title)
        yield from _rows(rows, results["controls"]["controls"])


def _injected(results: Results) -> Iterator[str]:
    damage, store = results["damage"], results["store"]
    yield from _killed(results["kills"], results["hooks"], "runs")
    yield from _killed(
        {**results["texts"], **results["texts"]["kills"]}, results["texts"], "runs on texts"
    )
    names = {"flips": "flipped bit of a checkpoint", "cuts": "truncated checkpoint"}
    for key, name in names.items():
        yield _line(name, damage[key]["injected"], damage[key]["survived"], damage)
    text = f"{store['processes']} processes on one store at once"
    yield _line(text, store["times"], store["good"], store)


def _killed(kills: Results, hooks: Results, runs: str) -> Iterator[str]:
    """Yield a line for kills at random times, and one for each fault point."""
    text = f"SIGKILL at a random time, in {kills['runs']} {runs}"
    # A run is survived or not, with all of its kills.
    yield _line(text, kills["injected"], f"{kills['same']} of {kills['runs']} runs", kills)
    for point, counts in hooks["points"].items():
        text = f"SIGKILL at `{point}` of {runs}"
        yield _line(text, counts["injected"], counts["same"], hooks)


def _line(text: str, injected: int, survived: int | str, part: Results) -> str:
    counted = f"{part['commit']} | {part['date']} | {part['seconds']:,}"
    return f"| {text} | {injected} | {survived} | {counted} |"


def _counted(part: Results) -> str:
    return f"At commit {part['commit']} on {part['date']}, in {part['seconds']:,} seconds."


def _rows(rows: dict[str, str], found: Iterable[Results]) -> Iterator[str]:
    found = list(found)
    for row, title in rows.items():
        mine = [control for control in found if control["row"] == row]
        if not mine:
            yield f"| {row} | {title} | - | - | - | - |"
            continue
        # Controls of a row may have the same tests.
        tests = {tuple(control["tests"]): control for control in mine}.values()
        cases, passed = (sum(control[key] for control in tests) for key in ("cases", "passed"))
        bit = sum(control["bit"] for control in mine)
        bite = "yes" if bit == len(mine) else f"{bit} of {len(mine)}"
        yield f"| {row} | {title} | {cases} | {passed} | {len(mine)} | {bite} |"
