"""The embedded dataset: documentation strings of Python's own packages."""

import ast
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from kdrun.core.errors import UserError
from kdrun.core.ranges import OpenUnit
from kdrun.core.seeds import generator
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.text.labels import Rows, dataset_of
from kdrun.dataset.text.texts import Texts

_PACKAGES = (
    "asyncio",
    "email",
    "http",
    "importlib",
    "logging",
    "multiprocessing",
    "unittest",
    "xml",
)
_LEAST_WORDS = 4  # shorter paragraphs are headings and names
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SPACE = re.compile(r"\s+")


def read_docstrings(split_seed: int, validation: OpenUnit, test: OpenUnit) -> RawDataset[Texts]:
    """Read the paragraphs of documentation strings, with the package as the class.

    The files of the running Python are parsed, never imported. All paragraphs of a module are in
    one split, as neighboring ones can be near copies. Other versions of Python have other texts.

    Args:
        split_seed: decides which modules are held out.
        validation: share of the paragraphs for validation.
        test: share of the paragraphs for the test.

    Raises:
        UserError: this Python comes without the files of its library.

    Notes:
        - dataset.augment.copies=20 adds versions of the training texts without labels, which only
          a teacher's answers teach (Tang et al. 2019, arXiv:1903.12136, section 3.3): a word is
          masked with probability mask, or swapped for one drawn from all training words with
          probability swap (the paper keeps its part of speech); then, with probability ngram, only
          1 to longest_ngram words in a row are kept. Versions that are there already are left out.
        - Texts longer than dataset.longest tokens are cut (dataset.cut), and their count is said.
    """
    library = Path(sysconfig.get_path("stdlib"))
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for package in _PACKAGES:
        modules = dict(_modules(library / package, seen))
        order = torch.randperm(len(modules), generator=generator(split_seed, "modules", package))
        for name, split in _assign(modules, order.tolist(), validation, test).items():
            splits[split] += [(text, package) for text in modules[name]]
    if not splits["train"] or not splits["test"] or not splits["validation"]:
        raise UserError(
            f"the Python library in {str(library)!r} has no source files.",
            "  dataset=sentences dataset.root=FOLDER reads texts of your own",
        )
    ready: Mapping[str, Rows] = splits
    return dataset_of(ready)


def _modules(package: Path, seen: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each module with paragraphs, and its paragraphs that are new."""
    for path in sorted(package.rglob("*.py")):
        inner = path.relative_to(package)
        if any(part in ("test", "tests") for part in inner.parts):
            continue
        texts = []
        for text in _paragraphs(path):
            if text.lower() not in seen:
                seen.add(text.lower())
                texts.append(text)
        if texts:
            yield inner.as_posix(), texts


def _paragraphs(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        docstring = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
        for paragraph in _PARAGRAPH.split(docstring or ""):
            text = _SPACE.sub(" ", paragraph).strip()
            if len(text.split()) >= _LEAST_WORDS:
                yield text


def _assign(
    modules: Mapping[str, list[str]], order: list[int], validation: float, test: float
) -> dict[str, str]:
    """Return the split of each module; the largest is trained on, others fill the shares."""
    names = list(modules)
    total = sum(map(len, modules.values()))
    splits = dict.fromkeys(names, "train")
    largest = max(names, key=lambda name: len(modules[name]), default="")
    free = [names[position] for position in order if names[position] != largest]
    for split, share in (("test", test), ("validation", validation)):
        taken = 0
        for name in free:
            is_free = splits[name] == "train"
            if is_free and (not taken or taken + len(modules[name]) <= share * total):
                splits[name] = split
                taken += len(modules[name])
    return splits
