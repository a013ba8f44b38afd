"""The root of the typed config; default values are in conf/."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import PositiveFloat, model_validator

from kdrun.core.config.network import Student, Teacher, like_teacher
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
from kdrun.core.ranges import Seed, Threads
from kdrun.core.store import STORE


class Config(Section):
    """The resolved config of one run; units and ranges are in conf/config.yaml."""

    seed: Seed
    name: Name | None
    tags: list[str]
    device: Device
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    deterministic: bool
    compile: bool
    threads: Threads | Literal["auto"]
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

    @model_validator(mode="before")
    @classmethod
    def _student_like_teacher(cls, tree: Any) -> Any:
        sections = [tree.get(role) for role in ("student", "teacher")]
        if not all(isinstance(section, Mapping) for section in sections):
            return tree
        return {**tree, "student": like_teacher(*sections)}

    @property
    def store(self) -> Path:
        """The folder of artefacts that several runs share."""
        return Path(self.output_root) / STORE

    @property
    def slug(self) -> str:
        """The part of the run folder's name that says what the run is."""
        choices = [self.teacher.name, self.student.name, self.loss["name"], self.scheme["name"]]
        return self.name or slug_of(choices, self.compress.steps)


def slug_of(choices: Sequence[str], steps: Sequence[str]) -> str:
    """Return the default name of a run: its choices, joined by `-`.

    Args:
        choices: the names of teacher, student, loss and scheme.
        steps: the names of the compression steps.
    """
    return "-".join([name for name in (*choices, *steps) if name != "none"])[:100]


def plain_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a composed config with text keys, as JSON has them, and without values `???`.

    YAML reads `{0: [0, 1], odd: [2, 3]}` with keys of two types, which cannot be sorted.
    """
    return {str(key): _plain(value) for key, value in tree.items() if value != MISSING}


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return plain_tree(node) if isinstance(node, Mapping) else node
