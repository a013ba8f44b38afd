"""A stage that applies one compression step, without training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from kdrun.compress.apply_step import Compressor, apply_step
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.config import Config, Network
from kdrun.core.errors import CannotChange, UserError
from kdrun.core.instructions import instruction_set
from kdrun.core.records.artefact import ArtefactRecord, some_keys
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import copy_weights
from kdrun.measure.metrics import Scores
from kdrun.stage.artefact import Artefact, write_artefact
from kdrun.stage.base import StageContext, StageInfo
from kdrun.stage.search_strength import StrengthSearch, find_strongest
from kdrun.stage.step_inputs import make_step_inputs

_ROUNDING = 1e-9  # tolerance of a difference of metrics

# Keys that the record of a compressed network copies from the record of the network before.
_COPIED = ("model", "data", "first_epochs", "steps", "select", "best_epoch")


class AppliedStep(NamedTuple):
    """A network after a step, and the value that a search found for the step's setting."""

    result: CompressionResult
    value: float | None


@dataclass(frozen=True)
class Compress:
    """Apply a compression step to the network of the stage before; see `Stage`.

    Attributes:
        info: the name of the stage and its folder; it reads only the stage before.
        role: role of the network in the config.
        network: the network's part of the config.
        node: config node of the step.
        step: the step that the node describes.
        search: how a setting of the step is searched; None if the config has its value.
        calibrated: whether activations are calibrated: by this step, or by a step before it that
            is repeated afterwards.
    """

    info: StageInfo
    role: str
    network: Network
    node: Mapping[str, Any]
    step: Compressor
    search: StrengthSearch | None = None
    calibrated: bool = False

    @property
    def timed(self) -> bool:
        """Whether the result depends on measured latencies, and so on this machine."""
        return self.node.get("latency") is not None

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        return {
            "stage": "compress",
            "model": self.network.node,
            "step": dict(self.node),
            "allowed_drop": self.search and self.search.max_drop,
            "calibrator": config.compress.calibrator if self.calibrated else None,
            "calibration": config.compress.calibration,
            "latency": config.evaluate.latency.model_dump() if self.timed else None,
            "data": data.digest,
            "seed": runtime.seed,
            "precision": runtime.hardware.precision,
            "device": runtime.hardware.device.type,
            "threads": runtime.hardware.threads,
            "torch": torch.__version__,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        (source,) = self.info.reads
        before = context.artefacts[source]
        try:
            result, value = self.apply(before, context)
        except UserError as error:
            raise CannotChange(f"{self.info.name}: {error.lines[0]}", *error.lines[1:]) from error
        context.runtime.interrupt.check(self.info.name)
        notes = list(result.notes)
        if self.search is not None and value is not None:
            limit = context.data.task.leading().text(self.search.max_drop)
            notes.append(f"{self.search.key}={value:g} is as far as {limit} allows")
        record: ArtefactRecord = {
            **some_keys(before.record, _COPIED),
            "fingerprint": fingerprint,
            "instructions": [instruction_set()],
            "stage": self.info.name,
            "changes": result.changes,
            "found": {self.search.key: value} if self.search else None,
            "source": f"{source!r}, changed",
            "epochs": None,
            "validation": _score(result.network, context),
            "seconds": None,
            "notes": notes,
            "ranges": result.ranges,
        }
        write_artefact(folder, record, copy_weights(result.network))
        for note in notes:
            context.screen.say(f"{self.info.name}: {note}")

    def apply(self, before: Artefact, context: StageContext) -> AppliedStep:
        """Apply the step to the network of an artefact, after searching its setting if asked to."""
        step_inputs = make_step_inputs(context, self.info.name)
        if self.search is None:
            return AppliedStep(_apply(self.step, before, step_inputs, context), None)
        value = search_value(self.search, before, step_inputs, context)
        if value is None:
            return AppliedStep(_unchanged(self.search, before, context), None)
        step = self.search.make_step(value)
        return AppliedStep(_apply(step, before, step_inputs, context), value)


def search_value(
    search: StrengthSearch, before: Artefact, step_inputs: StepInputs, context: StageContext
) -> float | None:
    """Find the strongest value with which the leading score loses no more than is allowed.

    Returns:
        The value; None if every value loses more.
    """
    metric = context.data.task.leading()

    def leading_score(network: nn.Module) -> float:
        """Return the leading score, negated if less is better."""
        return metric.sign * _score(network, context)[metric.name]

    required = leading_score(before.network()) - search.max_drop - _ROUNDING

    def is_acceptable(value: float) -> bool:
        context.runtime.interrupt.check(before.record["stage"])
        try:
            result = _apply(search.make_step(value), before, step_inputs, context)
        except UserError as error:  # for example, a layer would lose all its channels
            context.screen.note(f"{search.key}={value:g}: {error.lines[0]}")
            return False
        reached = leading_score(result.network)
        score_text = metric.text(metric.sign * reached)
        context.screen.note(f"{search.key}={value:g}: validation {score_text}")
        return reached >= required

    return find_strongest(search, is_acceptable)


def _apply(
    step: Compressor, before: Artefact, step_inputs: StepInputs, context: StageContext
) -> CompressionResult:
    network = before.network().to(context.runtime.hardware.device)
    return apply_step(step, network, before.changes, before.build, step_inputs)


def _unchanged(
    search: StrengthSearch, before: Artefact, context: StageContext
) -> CompressionResult:
    network = before.network().to(context.runtime.hardware.device)
    limit = context.data.task.leading().text(search.max_drop)
    note = f"no {search.key} loses {limit} or less: the network is as it was"
    return CompressionResult(network, before.changes, [note])


def _score(network: nn.Module, context: StageContext) -> Scores:
    hardware, size = context.runtime.hardware, context.config.evaluate.batch_size
    return score(network.to(hardware.device), context.data.validation, hardware, size)
