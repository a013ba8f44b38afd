"""`kdrun list`: names and descriptions of models, datasets, losses etc., and runs in a folder."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from kdrun.cli.cards import read_card
from kdrun.cli.named_plugins import split_plugins
from kdrun.compare.runs import run_lines
from kdrun.config.choices import conf_folder
from kdrun.config.loader import find_plugins
from kdrun.core.errors import UserError
from kdrun.core.plugins import install_plugins, table_of
from kdrun.core.screen import Screen
from kdrun.core.unknown import unknown_name

# KIND whose choices are files -> kind of the components that plugins add.
_FROM_FILES = {
    "models": "model",
    "datasets": "dataset",
    "tokenizers": "tokenizer",
    "steps": "step",
}


def list_choices(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun list [KIND...] [plugins=[MODULE]]` and return the exit status.

    Raises:
        UserError: a word is not a kind, or a plugin can't be imported or added.
    """
    plugins, words = split_plugins(words)
    if words[:1] == ["runs"] and len(words) > 1:
        for root in words[1:]:
            list_runs(screen, Path(root))
        return 0
    kinds: dict[str, Callable[[Screen], None]] = {
        "models": _list_models,
        "datasets": _lister("dataset"),
        "tokenizers": _lister("dataset/tokenizer"),
        "losses": _card_lister("loss"),
        "schemes": _card_lister("scheme"),
        "recipes": _lister("recipe"),
        "compress": _lister("compress"),
        "steps": _lister("step"),
        "runs": list_runs,
    }
    for word in words:
        if word not in kinds:
            raise unknown_name("kind", word, kinds)
    added = {} if words == ["runs"] else install_plugins(find_plugins(plugins))
    for kind in words or kinds:
        screen.say(kind, style="bold")
        kinds[kind](screen)
        part = _FROM_FILES.get(kind, "")
        for name in sorted(added.get(part, ())):
            screen.say(f"  {name:<22}{_summary(part, name)}")
    return 0


def list_runs(screen: Screen, root: Path = Path("outputs")) -> None:
    """Print a line for each run below a folder."""
    lines = list(run_lines(root))
    for line in lines:
        screen.say(f"  {line}")
    if not lines:
        screen.say(f"  none below {str(root)!r}")


def _list_models(screen: Screen) -> None:
    from kdrun import model

    with_file = _sentences("model")
    _print_sentences(with_file, screen)
    without_file = [name for name in model.names() if name not in with_file]
    screen.say(f"  and torchvision's classifiers: {', '.join(without_file)}")


def _lister(group: str) -> Callable[[Screen], None]:
    """Return a function that prints a line for each choice of a config group."""
    return lambda screen: _print_sentences(_sentences(group), screen)


def _card_lister(kind: str) -> Callable[[Screen], None]:
    """Return a function that prints a line for each loss or scheme, including those of plugins."""
    return lambda screen: _print_sentences(
        {name: _summary(kind, name) for name in sorted(table_of(kind))}, screen
    )


def _summary(kind: str, name: str) -> str:
    """Return the first line of a component's docstring, or its "module:name" without one."""
    try:
        return read_card(kind, name).summary
    except UserError:
        return table_of(kind)[name]


def _print_sentences(sentences: dict[str, str], screen: Screen) -> None:
    for name, sentence in sentences.items():
        screen.say(f"  {name:<22}{sentence}")
    if not sentences:
        screen.say("  none yet")


def _sentences(group: str) -> dict[str, str]:
    """Return choice -> first sentence of its YAML file, for each choice of a config group."""
    files = sorted((conf_folder() / group).glob("*.yaml"))
    return {
        path.stem: _first_sentence(path.read_text(encoding="utf-8"))
        for path in files
        if not path.stem.startswith("_")
    }


def _first_sentence(text: str) -> str:
    """Return the first sentence of the comment at the top of a YAML file, without commands."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("#").strip() for line in comment]
    prose = " ".join(line for line in lines if not line.startswith(("kdrun ", "@package")))
    return re.split(r"(?<!et al)\. ", prose)[0].rstrip(".")
