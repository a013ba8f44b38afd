"""The networks of a run: teacher and student, each by name with its own keys."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    model_validator,
)

from kdrun.core.config.types import Node, Section


class Taps(Section):
    """Module paths that take the place of a network's own roles."""

    stages: list[str] | None
    embedding: str | None
    logits: str | None

    def over(self, roles: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The network's roles with those named in the config in their place."""
        named = {
            "stages": self.stages,
            "embedding": self.embedding and [self.embedding],
            "logits": self.logits and [self.logits],
        }
        return {**roles, **{role: paths for role, paths in named.items() if paths}}


class Network(BaseModel):
    """The teacher or the student: keys of its role, and the model's own beside them."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    name: str
    taps: Taps

    @property
    def node(self) -> Node:
        """The model's config node, without the keys of its role."""
        return {"name": self.name, **(self.model_extra or {})}


class Teacher(Network):
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
    init: Literal["scratch", "teacher"]
    freeze: list[str]
