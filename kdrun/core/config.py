"""The typed root of a run's configuration; defaults are in conf/, never here."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


def _spelled(pattern: str, said: str) -> Callable[[str], str]:
    """A check that a text fits a pattern, which `said` puts in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("spelling", "should be {said}", {"said": said})
        return text

    return check


Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
_NAME = _spelled(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", "at most 100 letters, digits, . _ and -, no dot first"
)
_DEVICE = _spelled(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:1")
Name = Annotated[str, AfterValidator(_NAME)]
Device = Annotated[str, AfterValidator(_DEVICE)]
Node = dict[str, Any]
MISSING = "???"  # stands in YAML for a value that must be given


class Section(BaseModel):
    """A part of the config whose keys are all known."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


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


class Recipe(Section):
    """How a network is trained."""

    epochs: PositiveInt
    max_steps: PositiveInt | None
    batch_size: PositiveInt
    accumulate: PositiveInt
    lr: PositiveFloat
    lr_by_model: dict[str, PositiveFloat] | None
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeFloat
    optimizer: Node
    schedule: Node
    augment: bool
    label_smoothing: BelowOne
    mixup: NonNegativeFloat
    cutmix: NonNegativeFloat
    ema: BelowOne
    clip_norm: PositiveFloat | None
    patience: PositiveInt | None
    select: Literal["last", "best"]

    def epochs_of(self, steps: int) -> int:
        """Epochs to train, of so many steps each: whole ones within `max_steps`, at least one."""
        return self.within(self.epochs, steps)

    def within(self, epochs: int, steps: int) -> int:
        """So many epochs of so many steps, or as many whole ones as `max_steps` has, at least one.

        A phase before the main one is bounded by itself.
        """
        if self.max_steps is None:
            return epochs
        return max(1, min(epochs, self.max_steps // steps))

    @field_validator("optimizer", "schedule", mode="before")
    @classmethod
    def _whole_part(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            hint = {"hint": f"recipe/{info.field_name}={value}"}
            raise PydanticCustomError("choice", "is not a mapping; by name: {hint}", hint)
        return value

    @model_validator(mode="after")
    def _whole_parts(self) -> Self:
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} has too few samples for {self.accumulate} parts,"
                " as accumulate asks"
            )
        return self


def shortened(recipe: Recipe, steps: int) -> str | None:
    """Why fewer epochs are trained than the recipe asks for, in a sentence; None if all are.

    Args:
        recipe: with `epochs` and `max_steps`.
        steps: of one epoch.
    """
    epochs = recipe.epochs_of(steps)
    if epochs == recipe.epochs:
        return None
    return (
        f"recipe.max_steps={recipe.max_steps} allows {epochs} of the {recipe.epochs} epochs"
        "; for all of them: recipe.max_steps=null"
    )


class TeacherOutputs(Section):
    """Whether what the teacher answers to the training images is kept; some choices have keys."""

    name: Literal["off", "live", "stored"]
    views: PositiveInt | None = None
    dtype: Literal["fp16", "fp32"] | None = None
    top_k: PositiveInt | None = None
    max_gb: PositiveFloat | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.name == "stored" and (self.dtype is None or self.max_gb is None):
            raise ValueError("needs dtype and max_gb where outputs are stored")
        return self


class StopWhen(Section):
    """When the student is good enough on validation: at a value, or near another model."""

    metric: Literal["accuracy", "top5", "f1"] = "accuracy"
    reaches: Share | None = None
    within: Share | None = None
    of: Literal["teacher", "alone"] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        near = (self.within is not None, self.of is not None)
        if (self.reaches is not None) == any(near) or any(near) != all(near):
            raise ValueError("needs either reaches, or within and of")
        return self


class Stop(Section):
    when: StopWhen | None


class Latency(Section):
    batch_size: PositiveInt
    threads: PositiveInt
    seconds: PositiveFloat


class Evaluate(Section):
    batch_size: PositiveInt
    latency: Latency
    protocol: Node | None


class Target(Section):
    """How much a step of compression may lose on validation, where its strength is searched."""

    accuracy_drop: Share


class Compress(BaseModel):
    """What is made of a trained network: keys of all steps, and a node for each step."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    of: Literal["student", "teacher"]
    calibrator: Node
    calibration: PositiveInt
    target: Target | None
    steps: list[str]

    @property
    def nodes(self) -> dict[str, Any]:
        """The steps in their order: what each is called here -> its node."""
        extra = self.model_extra or {}
        return {key: extra[key] for key in self.steps if key in extra}


class ExportTolerance(Section):
    """How far a file's answers may be from PyTorch's before it is rejected."""

    logits: PositiveFloat
    accuracy: Share


class ExportOptions(Section):
    normalize: bool
    tolerance: ExportTolerance


class Launcher(Section):
    """How many jobs of a sweep run at the same time; Hydra's own launchers say it their way."""

    jobs: PositiveInt | Literal["auto"]


class Search(Section):
    """How settings are searched."""

    trials: PositiveInt
    prune: bool
    ranges: dict[str, str]
    lr_factor: Annotated[float, Field(ge=1)]


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


def plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A composed config as JSON has it: keys are text, and one without a value is not there.

    YAML reads `{0: [0, 1], odd: [2, 3]}` with keys of two kinds, which nothing can sort.
    """
    return {str(key): _plain(value) for key, value in tree.items() if value != MISSING}


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return plain(node) if isinstance(node, Mapping) else node
