"""A compression step that needs no training: a network in, a smaller one out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.apply_step import Changed, Changing, change
from kdrun.compress.calibrators import CALIBRATORS, Calibrator
from kdrun.compress.step_inputs import StepInputs
from kdrun.core.config import Config, Network
from kdrun.core.errors import CannotChange, UserError
from kdrun.core.metrics import leading
from kdrun.core.registry import build
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import copy_weights
from kdrun.measure.cost import macs
from kdrun.measure.latency import latencies
from kdrun.measure.metrics import Scores
from kdrun.stage.artefact import Artefact, write_artefact
from kdrun.stage.base import StageContext, StageInfo
from kdrun.stage.timing import blank_images

_HALVINGS = 7  # of the range that is searched: to a hundredth
_ROUNDING = 1e-9  # of a share of samples
_BATCH = 32  # calibration samples at a time: a moving average wants several batches

# What the record of a compressed network says as that of the network before it does.
_KEPT = ("model", "data", "epochs", "first_epochs", "steps", "select", "best_epoch")


@dataclass(frozen=True)
class Search:
    """How far a step may go: as far as validation accuracy allows.

    Attributes:
        drop: the share of accuracy that may be lost against the network before.
        key: of the step's node, which is searched.
        mild: its value that changes least.
        strong: its value that changes most.
        step: the step at a value.
    """

    drop: float
    key: str
    mild: float
    strong: float
    step: Callable[[float], Changing]


@dataclass(frozen=True)
class Compress:
    """Change the network of the stage before; see `Stage`.

    Attributes:
        info: where the stage stands; it reads the stage before it alone.
        role: the network's place in the config.
        network: its part of the config.
        node: the step's node of the config.
        step: what that describes.
        search: where a value of the node is found rather than given.
        calibrated: whether it, or a step before it that is done again, chooses ranges.
    """

    info: StageInfo
    role: str
    network: Network
    node: Mapping[str, Any]
    step: Changing
    search: Search | None = None
    calibrated: bool = False

    @property
    def timed(self) -> bool:
        """Whether what it leaves depends on how fast networks are here."""
        return self.node.get("latency") is not None

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        return {
            "stage": "compress",
            "model": self.network.node,
            "step": dict(self.node),
            "allowed_drop": self.search and self.search.drop,
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
            made, found = self.make(before, context)
        except UserError as error:
            raise CannotChange(f"{self.info.name}: {error.lines[0]}", *error.lines[1:]) from error
        context.runtime.interrupt.check(self.info.name)
        notes = list(made.notes)
        if self.search is not None and found is not None:
            notes.append(f"{self.search.key}={found:g} is as far as {self.search.drop:.2%} allows")
        record = {
            **{key: before.record[key] for key in _KEPT if key in before.record},
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "changes": made.changes,
            "found": self.search and {self.search.key: found},
            "source": f"{source!r}, changed",
            "epochs": None,
            "validation": _score(made.network, context),
            "seconds": None,
            "notes": notes,
            "ranges": made.ranges,
        }
        write_artefact(folder, record, copy_weights(made.network))
        for note in notes:
            context.screen.say(f"{self.info.name}: {note}")

    def make(self, before: Artefact, context: StageContext) -> tuple[Changed, float | None]:
        """Do the step to a network; what became of it, and the value that was searched for."""
        material = make_material(context, self.info.name)
        if self.search is None:
            return _apply(self.step, before, material, context), None
        found = find_strongest(self.search, before, material, context)
        if found is None:
            return _unchanged(self.search, before, context), None
        return _apply(self.search.step(found), before, material, context), found


def find_strongest(
    search: Search, before: Artefact, material: StepInputs, context: StageContext
) -> float | None:
    """The strongest value whose network loses no more than is allowed, by bisection.

    Of values of which each loses as much as those before it, or more; where that is not so, of
    those that were tried. None where every one loses more.
    """
    metric = leading()

    def merit(network: nn.Module) -> float:
        return metric.merit(_score(network, context)[metric.name])

    least = merit(before.network()) - search.drop - _ROUNDING

    def fits(value: float) -> bool:
        context.runtime.interrupt.check(before.record["stage"])
        try:
            made = _apply(search.step(value), before, material, context)
        except UserError as error:  # such as a layer that would keep nothing
            context.screen.note(f"{search.key}={value:g}: {error.lines[0]}")
            return False
        found = merit(made.network)
        context.screen.note(f"{search.key}={value:g}: validation {abs(found):.2%}")
        return found >= least

    good, bad = search.mild, search.strong
    if fits(bad):
        return bad
    for _ in range(_HALVINGS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good if good != search.mild or fits(good) else None


def _apply(
    step: Changing, before: Artefact, material: StepInputs, context: StageContext
) -> Changed:
    network = before.network().to(context.runtime.hardware.device)
    return change(step, network, before.changes, before.build, material)


def _unchanged(search: Search, before: Artefact, context: StageContext) -> Changed:
    network = before.network().to(context.runtime.hardware.device)
    note = f"no {search.key} loses {search.drop:.2%} or less: the network is as it was"
    return Changed(network, before.changes, [note])


def _score(network: nn.Module, context: StageContext) -> Scores:
    hardware, size = context.runtime.hardware, context.config.evaluate.batch_size
    return score(network.to(hardware.device), context.data.validation, hardware, size)


def make_material(context: StageContext, stage: str) -> StepInputs:
    """What the step of a stage may look at in this run."""
    info, device = context.data.info, context.runtime.hardware.device
    shape = (info.channels, *info.image_size)
    return StepInputs(
        batches=list(
            calibration_batches(
                context.data, context.runtime.seed, context.config.compress.calibration
            )
        ),
        calibrator=make_calibrator(context.config.compress.calibrator),
        seed=seed_of(context.runtime.seed, "compress", stage),
        macs=lambda network: macs(network, shape, device),
        latency=lambda network: _milliseconds(network, context),
    )


def _milliseconds(network: nn.Module, context: StageContext) -> float:
    settings, sample = context.config.evaluate.latency, blank_images(context)
    return latencies({"": network}, sample, settings.threads, settings.seconds)[""].median_ms


def make_calibrator(node: Mapping[str, Any]) -> Calibrator:
    """The calibrator that a checked node describes."""
    return build("calibrator", CALIBRATORS, node)


def calibration_batches(data: Data, seed: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A seeded sample of the training split as models see images after training: not augmented.

    Of the samples that have labels, as some scores need them; of all where none has one.

    Args:
        data: the splits.
        seed: the run's.
        count: samples; fewer where the split has fewer whole batches.

    Yields:
        images (B, C, H, W), labels (B,), which are -1 where there is none.
    """
    labeled = data.labeled_only().train
    train = labeled if labeled.size else data.train
    size = min(_BATCH, count, train.size)
    drawn = seed_of(seed, "calibration")
    batches = train.epoch(0, 0, drawn, size, augment=False, dtype=torch.float32)
    for number, batch in enumerate(islice(batches, -(-count // size))):
        left = count - number * size
        images, labels = batch.inputs, batch.targets
        assert isinstance(images, Tensor)
        yield images[:left], (labels if labeled.size else torch.full_like(labels, -1))[:left]
