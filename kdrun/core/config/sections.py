"""The config sections on evaluation, compression, export and sweeps."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from kdrun.core.config.types import Node, Section
from kdrun.core.ranges import AtLeastOne, Threads, UnitInterval


class TeacherOutputs(Section):
    """Whether the teacher's outputs for the training images are stored, and how."""

    name: Literal["off", "live", "stored"]
    views: PositiveInt | None = None
    dtype: Literal["fp16", "fp32"] | None = None
    top_k: PositiveInt | None = None
    max_gb: PositiveFloat | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.name == "stored" and (self.dtype is None or self.max_gb is None):
            raise ValueError("needs dtype and max_gb where outputs are stored")
        return self


class Latency(Section):
    """How latencies are measured."""

    batch_size: PositiveInt
    threads: Threads
    seconds: PositiveFloat


class Evaluate(Section):
    """How models are measured once they are trained."""

    batch_size: PositiveInt
    latency: Latency
    protocol: Node | None


class Target(Section):
    """How much validation accuracy a compression step may lose, if its strength is searched."""

    accuracy_drop: UnitInterval


class Compress(BaseModel):
    """How a trained network is compressed; each step has a node under an extra key."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    of: Literal["student", "teacher"]
    calibrator: Node
    calibration: PositiveInt
    target: Target | None
    steps: list[str]

    @property
    def nodes(self) -> dict[str, Any]:
        """Key of each step -> its node, in the order of the steps."""
        extra = self.model_extra or {}
        return {key: extra[key] for key in self.steps if key in extra}


class ExportTolerance(Section):
    """How far the outputs of an exported file may differ from those of the network."""

    logits: PositiveFloat
    accuracy: UnitInterval


class ExportOptions(Section):
    """What exported files contain, and how exact they must be."""

    normalize: bool
    tolerance: ExportTolerance


class Launcher(Section):
    """How many jobs of a sweep run at the same time; launchers of Hydra have keys of their own."""

    jobs: PositiveInt | Literal["auto"]


class Search(Section):
    """How many settings a search tries, and from which ranges."""

    trials: PositiveInt
    prune: bool
    ranges: dict[str, str]
    lr_factor: AtLeastOne
