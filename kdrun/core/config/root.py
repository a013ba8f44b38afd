"""One run, resolved: the root of the typed config; default values are in conf/, never here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from kdrun.core.config.network import Student, Teacher
from kdrun.core.config.recipe import Recipe, Stop
from kdrun.core.config.sections import (
    Compress,
    Evaluate,
    ExportOptions,
    Launcher,
    Search,
    TeacherOutputs,
)
from kdrun.core.config.types import MISSING, Device, Name, Node, Section


class Config(Section):
    """One run, resolved."""

    seed: NonNegativeInt
    name: Name | None
    tags: list[str]
    device: Device
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    deterministic: bool
    compile: bool
    threads: PositiveInt | Literal["auto"]
    controls: list[str]
    plugins: list[str]
    output_root: str
    launcher: Launcher
    search: Search
    logger: Literal["none", "tensorboard"]
    checkpoint_seconds: PositiveFloat
    check: bool
    debug: bool
    dataset: Node
    teacher: Teacher
    student: Student
    loss: Node
    scheme: Node
    recipe: Recipe
    teacher_outputs: TeacherOutputs
    stop: Stop
    compress: Compress
    evaluate: Evaluate
    export: list[str]
    export_options: ExportOptions

    @property
    def store(self) -> Path:
        """Where artefacts that several runs share are kept."""
        return Path(self.output_root) / ".store"

    @property
    def slug(self) -> str:
        """What the run is called in its folder's name."""
        parts = [self.teacher.name, self.student.name, self.loss["name"], self.scheme["name"]]
        return self.name or slug_of(parts, self.compress.steps)


def slug_of(parts: Sequence[str], steps: Sequence[str]) -> str:
    """What a run is called that was given no name: the choices that make it.

    Args:
        parts: names of teacher, student, loss and scheme.
        steps: of compression.
    """
    return "-".join([part for part in (*parts, *steps) if part != "none"])[:100]


def plain_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A composed config as JSON has it: keys are text, and one without a value is not there.

    YAML reads `{0: [0, 1], odd: [2, 3]}` with keys of two kinds, which nothing can sort.
    """
    return {str(key): _plain(value) for key, value in tree.items() if value != MISSING}


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return plain_tree(node) if isinstance(node, Mapping) else node
