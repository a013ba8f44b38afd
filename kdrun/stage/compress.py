"""A compression step that needs no training: a network in, a smaller one out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.calibrate import CALIBRATORS, Calibrator
from kdrun.compress.step import Changed, Changing, change
from kdrun.compress.step_inputs import Material
from kdrun.core.config import Config, Network
from kdrun.core.errors import CannotChange, UserError
from kdrun.core.registry import resolve
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Session
from kdrun.engine.weights import copy_weights
from kdrun.measure.cost import macs
from kdrun.measure.latency import latencies
from kdrun.measure.metrics import Scores
from kdrun.stage.artefact import Artefact, write_artefact
from kdrun.stage.base import Bench, Place
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
        place: where the stage stands; it reads the stage before it alone.
        role: the network's place in the config.
        network: its part of the config.
        node: the step's node of the config.
        step: what that describes.
        search: where a value of the node is found rather than given.
        calibrated: whether it, or a step before it that is done again, chooses ranges.
    """

    place: Place
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

    def identity(self, config: Config, data: Data, session: Session) -> dict[str, Any]:
        return {
            "stage": "compress",
            "model": self.network.node,
            "step": dict(self.node),
            "allowed_drop": self.search and self.search.drop,
            "calibrator": config.compress.calibrator if self.calibrated else None,
            "calibration": config.compress.calibration,
            "latency": config.evaluate.latency.model_dump() if self.timed else None,
            "data": data.digest,
            "seed": session.seed,
            "precision": session.hardware.precision,
            "device": session.hardware.device.type,
            "threads": session.hardware.threads,
            "torch": torch.__version__,
        }

    def execute(self, bench: Bench, folder: Path, fingerprint: str) -> None:
        (source,) = self.place.reads
        before = bench.artefacts[source]
        try:
            made, found = self.make(before, bench)
        except UserError as error:
            raise CannotChange(f"{self.place.name}: {error.lines[0]}", *error.lines[1:]) from error
        bench.session.interrupt.check(self.place.name)
        notes = list(made.notes)
        if self.search is not None and found is not None:
            notes.append(f"{self.search.key}={found:g} is as far as {self.search.drop:.2%} allows")
        record = {
            **{key: before.record[key] for key in _KEPT if key in before.record},
            "fingerprint": fingerprint,
            "stage": self.place.name,
            "changes": made.changes,
            "found": self.search and {self.search.key: found},
            "source": f"{source!r}, changed",
            "epochs": None,
            "validation": _score(made.network, bench).as_dict(),
            "seconds": None,
            "notes": notes,
            "ranges": made.ranges,
        }
        write_artefact(folder, record, copy_weights(made.network))
        for note in notes:
            bench.screen.say(f"{self.place.name}: {note}")

    def make(self, before: Artefact, bench: Bench) -> tuple[Changed, float | None]:
        """Do the step to a network; what became of it, and the value that was searched for."""
        material = make_material(bench, self.place.name)
        if self.search is None:
            return _apply(self.step, before, material, bench), None
        found = find_strongest(self.search, before, material, bench)
        if found is None:
            return _unchanged(self.search, before, bench), None
        return _apply(self.search.step(found), before, material, bench), found


def find_strongest(
    search: Search, before: Artefact, material: Material, bench: Bench
) -> float | None:
    """The strongest value whose network loses no more than is allowed, by bisection.

    Of values of which each loses as much as those before it, or more; where that is not so, of
    those that were tried. None where every one loses more.
    """
    allowed = _score(before.network(), bench).accuracy - search.drop - _ROUNDING

    def fits(value: float) -> bool:
        bench.session.interrupt.check(before.record["stage"])
        try:
            made = _apply(search.step(value), before, material, bench)
        except UserError as error:  # such as a layer that would keep nothing
            bench.screen.note(f"{search.key}={value:g}: {error.lines[0]}")
            return False
        accuracy = _score(made.network, bench).accuracy
        bench.screen.note(f"{search.key}={value:g}: validation {accuracy:.2%}")
        return accuracy >= allowed

    good, bad = search.mild, search.strong
    if fits(bad):
        return bad
    for _ in range(_HALVINGS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good if good != search.mild or fits(good) else None


def _apply(step: Changing, before: Artefact, material: Material, bench: Bench) -> Changed:
    network = before.network().to(bench.session.hardware.device)
    return change(step, network, before.changes, before.build, material)


def _unchanged(search: Search, before: Artefact, bench: Bench) -> Changed:
    network = before.network().to(bench.session.hardware.device)
    note = f"no {search.key} loses {search.drop:.2%} or less: the network is as it was"
    return Changed(network, before.changes, [note])


def _score(network: nn.Module, bench: Bench) -> Scores:
    hardware, size = bench.session.hardware, bench.config.evaluate.batch_size
    return score(network.to(hardware.device), bench.data.validation, hardware, size)


def make_material(bench: Bench, stage: str) -> Material:
    """What the step of a stage may look at in this run."""
    info, device = bench.data.info, bench.session.hardware.device
    shape = (info.channels, *info.image_size)
    return Material(
        batches=list(
            calibration_batches(bench.data, bench.session.seed, bench.config.compress.calibration)
        ),
        calibrator=make_calibrator(bench.config.compress.calibrator),
        seed=seed_of(bench.session.seed, "compress", stage),
        macs=lambda network: macs(network, shape, device),
        latency=lambda network: _milliseconds(network, bench),
    )


def _milliseconds(network: nn.Module, bench: Bench) -> float:
    settings, sample = bench.config.evaluate.latency, blank_images(bench)
    return latencies({"": network}, sample, settings.threads, settings.seconds)[""].median_ms


def make_calibrator(node: Mapping[str, Any]) -> Calibrator:
    """The calibrator that a checked node describes."""
    settings = {key: value for key, value in node.items() if key != "name"}
    made: Calibrator = resolve("calibrator", CALIBRATORS, node["name"])(**settings)
    return made


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
    labeled = data.labeled().train
    train = labeled if labeled.size else data.train
    size = min(_BATCH, count, train.size)
    drawn = seed_of(seed, "calibration")
    batches = train.epoch(0, 0, drawn, size, augment=False, dtype=torch.float32)
    for number, batch in enumerate(islice(batches, -(-count // size))):
        left = count - number * size
        images, labels = batch.inputs, batch.targets
        assert isinstance(images, Tensor)
        yield images[:left], (labels if labeled.size else torch.full_like(labels, -1))[:left]
