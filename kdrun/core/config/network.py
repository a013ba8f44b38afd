"""The config sections `teacher` and `student`: the network, the source of its weights, its taps.

A tap is a module whose output a loss reads. A role names taps that many networks have: the outputs
of `stages`, the `embedding` before the classifier, and the `logits`.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    model_validator,
)

from kdrun.core.config.types import Node, Section


class Taps(Section):
    """Module paths of the roles; null: the path that the network itself defines for the role."""

    stages: list[str] | None
    embedding: str | None
    logits: str | None

    def apply_to(self, roles: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Return the module paths of each role, with those of the config in place of the network's.

        Args:
            roles: role -> module paths that the network defines.
        """
        from_config = {
            "stages": self.stages,
            "embedding": self.embedding and [self.embedding],
            "logits": self.logits and [self.logits],
        }
        return {**roles, **{role: paths for role, paths in from_config.items() if paths}}


class Network(BaseModel):
    """The teacher or the student: the keys below, and the settings of the model as extra keys."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    name: str
    taps: Taps

    @property
    def node(self) -> Node:
        """The config node of the model: its name and settings, without `taps` and the like."""
        return {"name": self.name, **(self.model_extra or {})}


class Teacher(Network):
    """The teacher. Its weights are trained, unless `run`, `weights` or `checkpoint` is set.

    Attributes:
        run: folder of the run whose model is the teacher.
        weights: torchvision's name of pretrained weights.
        checkpoint: file with a state_dict.
        checkpoint_key: where in that file the state_dict is.
        recipe: keys of the recipe that training the teacher changes.
    """

    run: str | None
    weights: str | None
    checkpoint: str | None
    checkpoint_key: str | None
    recipe: Node | None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [key for key in ("run", "weights", "checkpoint") if getattr(self, key)]
        if len(sources) > 1:
            raise ValueError(f"can have only one source, but has {' and '.join(sources)}; keep one")
        if self.checkpoint_key is not None and not self.checkpoint:
            raise ValueError("has a checkpoint_key, but no checkpoint; name the file, too")
        return self


class Student(Network):
    """The student.

    Attributes:
        init: whether it starts from new weights or from the teacher's.
        freeze: globs of its modules that do not learn.
    """

    init: Literal["scratch", "teacher"]
    freeze: list[str]
