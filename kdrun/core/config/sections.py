"""What is done with trained networks and beside training: measured, compressed, exported, swept."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from kdrun.core.config.types import Node, Section
from kdrun.core.ranges import AtLeastOne, UnitInterval


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

    accuracy_drop: UnitInterval


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
    accuracy: UnitInterval


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
    lr_factor: AtLeastOne
