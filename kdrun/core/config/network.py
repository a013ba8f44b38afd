"""The sections of teacher and student: which network, where its weights come from, its taps."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    model_validator,
)

from kdrun.core.config.types import Node, Section


class Taps(Section):
    """Module paths that replace those that the network has for its roles."""

    stages: list[str] | None
    embedding: str | None
    logits: str | None

    def over(self, roles: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Return the module paths of each role; those of the config replace the network's."""
        named = {
            "stages": self.stages,
            "embedding": self.embedding and [self.embedding],
            "logits": self.logits and [self.logits],
        }
        return {**roles, **{role: paths for role, paths in named.items() if paths}}


class Network(BaseModel):
    """The teacher or the student: common keys, and beside them the settings of the model."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    name: str
    taps: Taps

    @property
    def node(self) -> Node:
        """The config node of the model: its name and its settings."""
        return {"name": self.name, **(self.model_extra or {})}


class Teacher(Network):
    """The teacher, whose weights are trained, or taken from a run, a file or torchvision."""

    run: str | None
    weights: str | None
    checkpoint: str | None
    recipe: Node | None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("run", "weights", "checkpoint") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"has one source, and {' and '.join(given)} are given; keep one")
        return self


class Student(Network):
    """The student, its initial weights, and the layers that do not learn."""

    init: Literal["scratch", "teacher"]
    freeze: list[str]
