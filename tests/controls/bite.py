"""Runs the tests of controls in a copy of the checkout, with and without their edits.

PyTorch is imported once; each run of pytest is a fork, which imports kdrun from the copy.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from .control import Control, Result

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("kdrun", "conf", "tests", "benchmarks", "docs", "pyproject.toml", "README.md")
_SHARED = ("torch", "torchvision", "sklearn.datasets", "pydantic", "omegaconf", "pytest")
_BROKEN = ("SyntaxError", "ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError")
_SECONDS = 100  # within which the tests of a control end

Outcomes = dict[str, tuple[str, str]]  # test -> outcome, and the text of its failure


class Copy:
    """A copy of the checkout that may be edited.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        for module in _SHARED:
            import_module(module)

    def run(self, tests: Iterable[str], seconds: int = _SECONDS, edited: str = "") -> Outcomes:
        """Run tests in a process of their own; `edited` is a module that must be importable."""
        written = self.folder / "outcomes.json"
        written.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            self._become_pytest(
                [str(Path("tests", test)) for test in tests], written, seconds, edited
            )
        os.waitpid(child, 0)
        return json.loads(written.read_text()) if written.exists() else {}

    @contextmanager
    def without(self, control: Control) -> Iterator[None]:
        """Apply the edits of a control for the time of the context."""
        files = {file: (self.folder / "kdrun" / file) for file, _, _ in control.all_edits()}
        before = {path: path.read_text(encoding="utf-8") for path in files.values()}
        try:
            for file, old, new in control.all_edits():
                text = files[file].read_text(encoding="utf-8")
                _write(files[file], text.replace(old, new))
            yield
        finally:
            for path, text in before.items():
                _write(path, text)

    def _become_pytest(self, tests: list[str], written: Path, seconds: int, edited: str) -> None:
        """Never returns. Bytecode is kept of unedited files alone."""
        os.setsid()
        signal.alarm(seconds)
        log = os.open(self.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(self.folder)
        _forget_checkout()
        os.environ["PYTHONPATH"] = sys.path[0] = str(self.folder)
        if edited:
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            sys.dont_write_bytecode = True
        outcomes = _Outcomes(tests)
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        try:
            import_module(edited or "kdrun")
            assert Path(str(sys.modules["kdrun"].__file__)).is_relative_to(self.folder)
            options = ["-q", "--slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
            # The edited module may have imported what pytest would like to import first.
            options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
            sys.modules["pytest"].main([*options, *files], plugins=[outcomes])
        except BaseException as error:  # noqa: BLE001 - reported as why nothing was shown
            outcomes.found = {"": ("error", f"{type(error).__name__}: {error}")}
        written.write_text(json.dumps(outcomes.found))
        os._exit(0)


class _Outcomes:
    """A plugin of pytest that runs some tests of the files, and keeps what came of each.

    A test that is not there is left out then; as an argument it would end pytest.
    """

    def __init__(self, tests: list[str]) -> None:
        self.tests = tests
        self.found: Outcomes = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        chosen = {*self.tests}
        items[:] = [item for item in items if chosen & {item.nodeid, item.nodeid.partition("[")[0]}]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            outcome = (
                report.outcome if report.when == "call" else f"{report.outcome} in {report.when}"
            )
            self.found[report.nodeid.removeprefix("tests/")] = (outcome, str(report.longrepr or ""))

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.found[report.nodeid] = ("not collected", str(report.longrepr))


def _forget_checkout() -> None:
    """Let what was imported from the checkout be imported from the copy, but for this package."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        own = file and any(Path(file).is_relative_to(ROOT / part) for part in _COPIED)
        if own and "controls" not in name:  # the packages of `.venv` stay
            del sys.modules[name]
    sys.path[:] = [path for path in sys.path if path != str(ROOT / "tests")]


def cases(test: str, outcomes: Outcomes) -> Outcomes:
    """Return the outcomes of a test: itself, or all of its parameters."""
    return {
        name: outcome
        for name, outcome in outcomes.items()
        if name == test or name.startswith(test + "[")
    }


def passes(control: Control, outcomes: Outcomes) -> str:
    """Return why the unedited tests do not show that the row holds; empty if they do."""
    for test in control.tests:
        found = cases(test, outcomes)
        if not found:
            return f"{test} was not run {outcomes.get('', ('', ''))[1]}"
        for name, (outcome, text) in found.items():
            if outcome != "passed":
                return f"{name} {outcome} without an edit: {_last_line(text)}"
    return ""


def bite(copy: Copy, control: Control) -> Result:
    """Apply the edits, and see the tests fail."""
    faults = control.faults(copy.folder / "kdrun")
    if faults:
        return Result(control, False, "; ".join(faults))
    with copy.without(control):
        module = "kdrun." + control.file.removesuffix(".py").removesuffix("/__init__").replace(
            "/", "."
        )
        outcomes = copy.run(control.tests, edited=module)
    for test in control.tests:
        reason = _spared(cases(test, outcomes))
        if reason:
            error = outcomes.get("", ("", ""))[1]
            return Result(control, False, f"{test} {reason} {error}".rstrip())
    return Result(control, True, "")


def _spared(found: Outcomes) -> str:
    """Return why no case of a test failed as it must; empty if one did."""
    failures = [text for outcome, text in found.values() if outcome == "failed"]
    if not failures:
        return f"did not fail: {', '.join({outcome for outcome, _ in found.values()}) or 'not run'}"
    broken = {name for text in failures for name in _BROKEN if f"{name}: " in text}
    return f"failed for another reason: {', '.join(sorted(broken))}" if broken else ""


def _write(path: Path, text: str) -> None:
    """Write a module, and drop its bytecode, which time and size may not tell from the old."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("E ")] or text.splitlines()
    return lines[-1].strip() if lines else ""
