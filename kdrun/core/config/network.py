"""The config sections `teacher` and `student`: the network, the source of its weights, its taps.

A tap is a module whose output a loss reads. A role names taps that many networks have: the outputs
of `stages`, the `embedding` before the classifier, and the `logits`. Networks of texts also have
`tokens`, the output of the embedding layer, and transformers each layer's `queries`, `keys` and
`values`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from kdrun.core.config.types import Node, Section
from kdrun.core.ranges import UnitBelowOne

_NETWORKS_OF_LAYERS = ("hf", "text_transformer")  # whose key `depth` is the number of layers
_TAKEN = ("path", "config", "pretrained", "pool", "tokenizer")  # by a student from a teacher `hf`


class Taps(Section):
    """Module paths of the roles; null: the path that the network itself defines for the role."""

    stages: list[str] | None
    embedding: str | None
    logits: str | None
    tokens: str | None = None
    queries: list[str] | None = None
    keys: list[str] | None = None
    values: list[str] | None = None

    def apply_to(self, roles: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Return the module paths of each role, with those of the config in place of the network's.

        Args:
            roles: role -> module paths that the network defines.
        """
        chosen = {role: paths for role, paths in self.model_dump().items() if paths}
        return {
            **roles,
            **{
                role: [paths] if isinstance(paths, str) else paths for role, paths in chosen.items()
            },
        }

    def identity(self) -> dict[str, Any]:
        """Return the paths for a stage's identity, without roles of texts that are not set."""
        return self.model_dump(exclude_defaults=True)


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


class Lora(Section):
    """Low-rank adapters, through which alone a student learns; see conf/config.yaml."""

    rank: PositiveInt
    alpha: PositiveFloat = 16.0
    dropout: UnitBelowOne = 0.0
    targets: Literal["auto"] | list[str] = "auto"


class Student(Network):
    """The student.

    Attributes:
        init: whether it starts from new weights or from the teacher's.
        layers: the teacher's layers that its own start from, by their numbers from 0; None: all.
        lora: the low-rank adapters, through which it learns; None: all weights learn.
        freeze: globs of its modules that do not learn.
    """

    init: Literal["scratch", "teacher"]
    layers: Annotated[list[NonNegativeInt], Field(min_length=1)] | None = None
    lora: Lora | None = None
    freeze: list[str]

    @model_validator(mode="after")
    def _layers_are_the_teachers(self) -> Self:
        if self.layers and self.init != "teacher":
            raise ValueError("has layers, which are the teacher's; add student.init=teacher")
        return self


def like_teacher(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section of a student that starts from the teacher, with what it takes from it.

    A network with a list of layers has as many as `layers` names. A Hugging Face network without a
    folder and a config of its own has the teacher's, and its tokenizer.

    Args:
        student: the section as it was written.
        teacher: the section of the teacher.
    """
    if student.get("init") != "teacher" or student.get("name") not in _NETWORKS_OF_LAYERS:
        return dict(student)
    node, layers = dict(student), student.get("layers")
    if node["name"] == teacher.get("name") == "hf" and not (node.get("path") or node.get("config")):
        node |= {key: teacher.get(key) for key in _TAKEN if key in node}
    if isinstance(layers, list) and layers:
        node["depth"] = len(layers)
    return node
