"""A compression step that needs no training: a network in, a smaller one out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kdrun.compress.calibrate import CALIBRATORS, Calibrator
from kdrun.compress.changes import Change, zeros
from kdrun.compress.material import Material
from kdrun.core.config import Config, Network
from kdrun.core.registry import resolve
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.lesson import Session
from kdrun.engine.weights import copy_weights
from kdrun.measure.cost import macs
from kdrun.stage.artefact import write_artefact
from kdrun.stage.base import Bench, Place

_BATCH = 32  # calibration samples at a time: a moving average wants several batches

# What the record of a compressed network says as that of the network before it does.
_KEPT = ("model", "data", "epochs", "first_epochs", "steps", "select", "best_epoch")


class Step(Protocol):
    """What changes a network."""

    def apply(
        self, network: nn.Module, material: Material
    ) -> tuple[nn.Module, Change | None, list[str]]:
        """Change a network, which may be done in place.

        Returns:
            It, what rebuilds its structure, and what the user should know, in sentences.
        """
        ...


@dataclass(frozen=True)
class Compress:
    """Change the network of the stage before; see `Stage`.

    Attributes:
        place: where the stage stands; it reads the stage before it alone.
        role: the network's place in the config.
        network: its part of the config.
        node: the step's node of the config.
        step: what that describes.
    """

    place: Place
    role: str
    network: Network
    node: Mapping[str, Any]
    step: Step

    def identity(self, config: Config, data: Data, session: Session) -> dict[str, Any]:
        return {
            "stage": "compress",
            "model": self.network.node,
            "step": dict(self.node),
            "calibrator": config.compress.calibrator,
            "calibration": config.compress.calibration,
            "data": data.digest,
            "seed": session.seed,
            "precision": session.hardware.precision,
        }

    def execute(self, bench: Bench, folder: Path, fingerprint: str) -> None:
        (source,) = self.place.reads
        before, hardware = bench.artefacts[source], bench.session.hardware
        network = before.network().to(hardware.device)
        changed, change, notes = self.step.apply(network, make_material(bench))
        bench.session.interrupt.check(self.place.name)
        scores = score(changed, bench.data.validation, hardware, bench.config.evaluate.batch_size)
        record = {
            **{key: before.record[key] for key in _KEPT if key in before.record},
            "fingerprint": fingerprint,
            "stage": self.place.name,
            "changes": _together(before.changes, change, changed),
            "source": f"{source!r}, changed",
            "epochs": None,
            "validation": scores.as_dict(),
            "seconds": None,
            "notes": notes,
        }
        write_artefact(folder, record, copy_weights(changed))


def _together(before: Sequence[Change], change: Change | None, network: nn.Module) -> list[Change]:
    """All changes in order; of weights with zeros those that are still there."""
    there = {name for name, _ in network.named_parameters()}
    found = [*before, *([change] if change is not None else [])]
    return [
        zeros([name for name in one["weights"] if name in there]) if one["name"] == "zeros" else one
        for one in found
    ]


def make_material(bench: Bench) -> Material:
    """What a step may look at in this run."""
    info, device = bench.data.info, bench.session.hardware.device
    shape = (info.channels, *info.image_size)
    return Material(
        batches=list(_samples(bench)),
        calibrator=make_calibrator(bench.config.compress.calibrator),
        seed=seed_of(bench.session.seed, "compress"),
        macs=lambda network: macs(network, shape, device),
    )


def make_calibrator(node: Mapping[str, Any]) -> Calibrator:
    """The calibrator that a checked node describes."""
    settings = {key: value for key, value in node.items() if key != "name"}
    made: Calibrator = resolve("calibrator", CALIBRATORS, node["name"])(**settings)
    return made


def _samples(bench: Bench) -> Iterator[tuple[Tensor, Tensor]]:
    """A seeded sample of the training split as the model is going to see images: not augmented."""
    seed, count = seed_of(bench.session.seed, "calibration"), bench.config.compress.calibration
    size = min(_BATCH, count, bench.data.train.size)
    batches = bench.data.train.epoch(0, 0, seed, size, augment=False, dtype=torch.float32)
    for batch in islice(batches, max(1, count // size)):
        assert isinstance(batch.inputs, Tensor)
        yield batch.inputs, batch.targets
