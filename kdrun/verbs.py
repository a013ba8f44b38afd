"""The verbs that only look, and `resume`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from kdrun.choices import conf_folder
from kdrun.core.errors import ConfigError, UserError, nearest
from kdrun.core.folder import RunFolder, find_runs
from kdrun.core.screen import Screen
from kdrun.words import read_jobs

if TYPE_CHECKING:
    from torch import nn

    from kdrun.core.types import DataInfo

_GROUPS = {"datasets": "dataset", "losses": "loss", "recipes": "recipe", "compress": "compress"}


def list_parts(words: Sequence[str], screen: Screen) -> int:
    """`kdrun list [models|datasets|losses|recipes|compress|runs]`."""
    kinds: dict[str, Callable[[Screen], None]] = {
        "models": _list_models,
        **{kind: _lister(kind) for kind in _GROUPS},
        "runs": _list_runs,
    }
    unknown = [word for word in words if word not in kinds and "=" not in word]
    if unknown:
        raise UserError(
            f"kdrun list knows no {unknown[0]!r}.",
            f"  nearest: {nearest(unknown[0], kinds) or ', '.join(kinds)}",
        )
    for kind in [word for word in words if word in kinds] or list(kinds):
        screen.say(kind, style="bold")
        kinds[kind](screen)
    return 0


def show_run(words: Sequence[str], screen: Screen) -> int:
    """`kdrun show RUN`: its table and how it came about."""
    from kdrun.compare.table import results_table

    folder = _run_folder(words, "show")
    manifest, summary = folder.manifest(), folder.summary()
    screen.say(f"{manifest['name']}: {folder.status}, started {manifest['started']}")
    screen.say(f"command: {manifest['command']}")
    screen.say(f"{manifest['hardware']}; seed {manifest['seed']}")
    for name, stage in manifest.get("stages", {}).items():
        source = ", from the store" if stage["from_store"] else ""
        screen.say(f"  {name}: {stage['seconds']:.1f} s{source}")
    if summary is not None:
        screen.show(results_table(summary))
    else:
        if manifest["error"]:
            screen.say(manifest["error"])
        screen.say(f"not finished; go on with it: kdrun resume {folder.path}")
    return 0


def resume(words: Sequence[str], screen: Screen) -> int:
    """`kdrun resume RUN`: what is not done yet, exactly as if nothing had happened."""
    from kdrun.preflight import check
    from kdrun.runner import run

    folder = _run_folder(words, "resume")
    if folder.status == "finished":
        screen.say(f"{folder.path} is finished; its table: kdrun show {folder.path}")
        return 0
    plan = check(folder.config())
    run(plan, folder.path, screen, " ".join(["kdrun", *sys.argv[1:]]))
    return 0


def show_layers(words: Sequence[str], screen: Screen) -> int:
    """`kdrun layers model=NAME dataset=NAME`: module paths, shapes and roles."""
    from kdrun.preflight import load_data
    from kdrun.stage.train import build_network

    if not any(word.startswith("model=") for word in words):
        raise UserError("which network?", "  kdrun layers model=resnet20 dataset=cifar10")
    job = read_jobs([_as_student(word) for word in words], multirun=False)[0]
    if job.faults:
        raise ConfigError(job.faults)
    from kdrun.core.config import Config

    config = Config.model_validate(job.tree)
    data = load_data(config.dataset)
    network = build_network(config.student.node, data, config.seed, "student")
    screen.show(_layers_table(network, data.info))
    return 0


def _layers_table(network: "nn.Module", info: "DataInfo") -> Table:
    from kdrun import model
    from kdrun.core.taps import tap_shapes

    paths = [name for name, _ in network.named_modules() if name]
    shapes = tap_shapes(network, {path: path for path in paths}, info)
    roles = {
        path: f"{role}[{number}]" if role == "stages" else role
        for role, places in model.roles(network).items()
        for number, path in enumerate(places)
    }
    table = Table("path", "module", "output", "role")
    for path in paths:
        kind = type(network.get_submodule(path)).__name__
        shape = ", ".join(["B", *map(str, shapes[path][1:])]) if path in shapes else "-"
        told = ", ".join(
            f"{role} (its input)" if place.endswith(":in") else role
            for place, role in roles.items()
            if place.removesuffix(":in") == path
        )
        table.add_row(Text(path), kind, f"({shape})", told)
    return table


def _as_student(word: str) -> str:
    key, equals, value = word.partition("=")
    if key == "model" or key.startswith("model."):
        return f"student{key.removeprefix('model')}{equals}{value}"
    return word


def _run_folder(words: Sequence[str], verb: str) -> RunFolder:
    if len(words) != 1:
        raise UserError(f"kdrun {verb} takes one run folder.", "  the runs: kdrun list runs")
    folder = RunFolder(Path(words[0]))
    if not folder.is_run:
        raise UserError(
            f"{words[0]!r} is no run folder: it has no run.json.",
            "  the runs that are there: kdrun list runs",
        )
    return folder


def _list_models(screen: Screen) -> None:
    from kdrun import model

    own = _described("model")
    for name, line in own.items():
        screen.say(f"  {name:<22}{line}")
    others = [name for name in model.names() if name not in own]
    screen.say(f"  and torchvision's own: {', '.join(others)}")


def _lister(kind: str) -> Callable[[Screen], None]:
    def show(screen: Screen) -> None:
        found = _described(_GROUPS[kind])
        for name, line in found.items():
            screen.say(f"  {name:<22}{line}")
        if not found:
            screen.say("  none yet")

    return show


def _list_runs(screen: Screen, root: Path = Path("outputs")) -> None:
    for folder in find_runs(root):
        if ".store" in folder.path.parts:
            continue
        summary = folder.summary()
        figures = (
            ", ".join(f"{row['model']} {100 * row['accuracy']:.2f} %" for row in summary["rows"])
            if summary
            else ""
        )
        screen.say(f"  {folder.path}  {folder.status}  {figures}")


def _described(group: str) -> dict[str, str]:
    """Each choice of a group with the first comment of its file."""
    found = {}
    for path in sorted((conf_folder() / group).glob("*.yaml")):
        if path.stem.startswith("_"):
            continue
        comments = [
            line.removeprefix("#").strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("# ") and "@package" not in line
        ]
        found[path.stem] = comments[0] if comments else ""
    return found
