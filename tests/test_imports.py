"""Imports run one way (cli down to core), and the command line starts without torch."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kdrun"

# From the top down: a room may import those of a lower row alone, and nothing of its own row.
ROWS = [
    ["__main__"],
    ["cli"],
    ["sweep"],
    ["check"],
    ["step"],
    ["scheme", "run"],
    ["stage"],
    ["config", "engine", "export"],
    ["loss", "model", "dataset", "compress", "measure", "compare"],
    ["task"],
    ["core"],
]
ROW = {part: number for number, row in enumerate(ROWS) for part in row}
LIGHT = [
    "cli.main",
    "cli.help",
    "cli.card_docstring",
    "cli.cards",
    "cli.list",
    "cli.show",
    "cli.resume",
    "cli.verb_parser",
    "cli.layers",
    "cli.launch",
    "cli.search",
    "cli.export",
    "cli.compare",
    "cli.sensitivity",
    "cli.report",
    "config.choices",
    "config.compose",
    "config.loader",
    "config.overrides",
    "config.verbs",
    "sweep.parallel_jobs",
    "sweep.hydra_launcher",
    "sweep.trials",
    "sweep.sampler",
    "sweep.search_space",
    "sweep.worker",
    "sweep.job_list",
    "sweep.runner",
    "run.new_folder",
    "compare.runs",
    "compare.table",
    "compare.report.write",
    "core.errors",
    "core.folder",
    "core.atomic",
    "core.cores",
    "core.disk",
    "core.lock",
    "core.config",
    "core.registry",
    "core.screen",
    "core.plugins",
    "core.validation_messages",
    "core.sweep",
    "core.metrics_log",
    "dataset.table",
    "export.table",
    "loss.table",
    "model.table",
    "scheme.table",
    "step.table",
]
HEAVY = ("torch", "torchvision", "sklearn", "scipy", "timm")


def modules() -> dict[str, Path]:
    """Every module of the package: its name below `kdrun` -> its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imports(name: str) -> list[tuple[str, bool]]:
    """What a module imports, and whether that happens when it is imported itself."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    later = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or is_for_type_checkers(node)
        for inner in ast.walk(node)
    }
    return [
        (imported, id(node) not in later)
        for node in ast.walk(tree)
        for imported in imported_by(node)
    ]


def imports_outside_functions(name: str) -> set[str]:
    """Modules of kdrun that a module imports for itself or for type checkers, below `kdrun`."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }
    outside = (node for node in ast.walk(tree) if id(node) not in inside)
    return {one.removeprefix("kdrun.") for node in outside for one in imported_by(node)}


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == "kdrun":  # from kdrun import model
            return [f"kdrun.{alias.name}" for alias in node.names]
        return [str(node.module)]
    return []


def part_of(name: str) -> str:
    """The part that a module is of: the first word below `kdrun`."""
    return name.removeprefix("kdrun").strip(".").partition(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_the_rows(name):
    own = part_of(name)
    for imported, _ in imports(name):
        if not imported.startswith("kdrun."):
            continue
        other = part_of(imported)
        if other in ("__version__", own):
            continue
        assert ROW[other] > ROW[own], f"kdrun.{name} imports {imported}"


def test_nothing_lies_loose_beside_the_rooms():
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py"}


def test_every_part_has_a_row():
    parts = {part_of(name) for name in MODULES} - {""}
    assert parts <= set(ROW)


def test_nothing_of_core_knows_another_part():
    for name in MODULES:
        if part_of(name) == "core":
            found = [one for one, _ in imports(name) if one.startswith("kdrun.")]
            assert all(part_of(one) == "core" for one in found), name


@pytest.mark.parametrize("name", [name for name in MODULES if part_of(name) == "compare"])
def test_compare_reads_without_torch(name):
    assert not [one for one, _ in imports(name) if one.partition(".")[0] in HEAVY]


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy_at_their_head(name):
    assert not [one for one, now in imports(name) if now and one.partition(".")[0] in HEAVY]


def test_no_files_import_each_other_in_a_circle():
    """Imports for type checkers count, those inside functions don't."""
    graph = {name: imports_outside_functions(name) & set(MODULES) for name in MODULES}
    open_files: list[str] = []
    closed: set[str] = set()

    def visit(name: str) -> None:
        assert name not in open_files, " -> ".join([*open_files[open_files.index(name) :], name])
        if name not in closed:
            open_files.append(name)
            for imported in graph[name]:
                visit(imported)
            open_files.pop()
            closed.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name):
    """A name that has gone from kdrun is no error for the type checker."""
    assert import_module(f"kdrun.{name}".rstrip("."))


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_can_be_imported(name):
    assert import_module(f"benchmarks.{name}")


def in_a_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_command_line_is_there_without_torch():
    names = ", ".join(f"kdrun.{name}" for name in [*LIGHT, "dataset", "model", "loss"])
    code = f"import sys, {names}; print([one for one in {HEAVY} if one in sys.modules])"
    assert in_a_new_process(code) == "[]"


def test_a_config_is_read_and_checked_for_words_without_torch():
    code = (
        "import sys; from kdrun.config.compose import compose_runs;"
        " job, = compose_runs(['loss.temperature=2'], multirun=False);"
        " assert not job.faults, job.faults;"
        f" print(job.tree['loss']['temperature'], [one for one in {HEAVY} if one in sys.modules])"
    )
    assert in_a_new_process(code) == "2 []"
